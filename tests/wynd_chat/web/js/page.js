/** Where the page's modules are, and small stand-ins for what they are given. */

export const PAGE = new URL("../../../../src/wynd_chat/web/page/", import.meta.url);

/** A clock that stands still until it is told to go on. */
export class TestClock {
  #now = 0;
  #nextId = 1;
  #timers = new Map();

  now = () => this.#now;

  after = (run, ms) => {
    const id = this.#nextId++;
    this.#timers.set(id, { at: this.#now + ms, run });
    return id;
  };

  cancel = (id) => this.#timers.delete(id);

  /** Go on, running what falls due in the order of time, and let promises settle. */
  async pass(ms) {
    const end = this.#now + ms;
    for (;;) {
      await settled();
      const due = [...this.#timers].filter(([, timer]) => timer.at <= end).sort((a, b) => a[1].at - b[1].at)[0];
      if (due === undefined) break;
      this.#timers.delete(due[0]);
      this.#now = Math.max(this.#now, due[1].at);
      due[1].run();
    }
    this.#now = end;
    await settled();
  }
}

export async function settled() {
  for (let turn = 0; turn < 200; turn += 1) await Promise.resolve();
}

/** Make a message as `wire.js` gives it. */
export function message(seq, { author = "u_bob", at = Date.UTC(2026, 10, 23, 12, 0) + seq * 1000, text = `m${seq}`, ...more } = {}) {
  return {
    type: "message", room: "lobby", seq, at, text, kind: "text", mentions: [], files: [], replyTo: null,
    editedAt: null, isDeleted: false, isHidden: false, cid: null,
    author: { id: author, name: author.slice(2), kind: "human", isAdmin: false }, ...more,
  };
}
