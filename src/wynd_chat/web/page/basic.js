// @ts-check
/**
 * The tutorial's page on the text face: what comes is shown as it is, what is typed is sent.
 * The address of the socket is built from the page's own.
 */

const statusText = /** @type {HTMLElement} */ (document.getElementById("status-text"));
const messages = /** @type {HTMLElement} */ (document.getElementById("messages"));
const messageInput = /** @type {HTMLInputElement} */ (document.getElementById("message"));
const url = new URL("ws", document.baseURI);
url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
const ws = new WebSocket(url);

ws.onopen = () => {
  statusText.textContent = "Connected";
  statusText.className = "is-connected";
};

ws.onmessage = (/** @type {MessageEvent<string>} */ { data }) => {
  const div = document.createElement("div");
  div.dir = "auto";
  div.textContent = data;
  messages.append(div);
  messages.scrollTop = messages.scrollHeight;
};

ws.onclose = () => {
  statusText.textContent = "Disconnected";
  statusText.className = "is-disconnected";
};

function sendMessage() {
  if (messageInput.value && ws.readyState === WebSocket.OPEN) {
    ws.send(messageInput.value);
    messageInput.value = "";
  }
}

document.getElementById("send")?.addEventListener("click", sendMessage);
messageInput.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.isComposing) sendMessage();
});
