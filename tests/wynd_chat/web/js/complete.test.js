import assert from "node:assert/strict";
import { test } from "node:test";
import { PAGE } from "./page.js";

const { choicesFor, commandOf, complete, mayRun, tokenAt } = await import(new URL("complete.js", PAGE));
const commands = [
  { name: "topic", aliases: [], syntax: "/topic [TEXT|-]", summary: "Show or set the topic", example: "", who: "named" },
  { name: "kick", aliases: [], syntax: "/kick USER", summary: "Put out", example: "", who: "op" },
  { name: "join", aliases: ["j"], syntax: "/join #ROOM", summary: "Join", example: "", who: "named" },
];
const sources = { commands, users: ["Bob", "Zoë", "Robert", "__proto__"], rooms: [{ name: "dev", topic: "What we build" }] };

const TOKENS = [
  ["/", "/", ""], ["/to", "/", "to"], ["hi /to", null], ["/topic x", null], ["hi @Bo", "@", "bo"], ["@", "@", ""], ["a@b", null],
  ["#de", "#", "de"], [":t", null], [":ta", ":", "ta"], ["12:30", null], ["(@b", "@", "b"], ["@a b", null],
];
for (const [text, kind, query] of TOKENS) {
  test(`token at the end of ${text}`, () => {
    const token = tokenAt(text, text.length);
    assert.deepEqual(token === null ? [null] : [token.kind, token.query], kind === null ? [null] : [kind, query]);
  });
}

test("choices begin with what begins so", () => {
  const choose = (text) => choicesFor(tokenAt(text, text.length), sources).map(({ label }) => label);
  assert.deepEqual(choose("@b"), ["Bob", "Robert"]);
  assert.deepEqual(choose("@__p"), ["__proto__"]);
  assert.deepEqual(choose("/j"), ["/join #ROOM"]);
  assert.deepEqual(choose("#d"), ["dev"]);
  assert.ok(choose(":tad").includes(":tada:"));
  assert.deepEqual(choose("@nobody"), []);
});

test("a choice takes the place of what was typed", () => {
  const text = "hi @bo and more";
  const token = tokenAt(text, 6);
  const [choice] = choicesFor(token, sources);
  assert.deepEqual(complete(text, 6, token, choice), { text: "hi @Bob and more", caret: 7 });
});

test("the command whose arguments are typed is found by alias too", () => {
  assert.equal(commandOf("/J #dev", commands).name, "join");
  assert.equal(commandOf("/topic", commands), null);
  assert.equal(commandOf("/x y", commands), null);
});

test("commands I may not run are not offered", () => {
  const guest = { id: "", name: "", kind: "guest", isAdmin: false };
  assert.equal(mayRun(commands[1], guest, "member"), false);
  assert.equal(mayRun(commands[1], guest, "op"), true);
  assert.equal(mayRun({ ...commands[1], who: "admin" }, guest, "owner"), false);
  assert.equal(mayRun({ ...commands[1], who: "account" }, guest, "member"), false);
  assert.equal(mayRun({ ...commands[1], who: "admin" }, { ...guest, isAdmin: true }, "member"), true);
});
