import assert from "node:assert/strict";
import { test } from "node:test";
import { PAGE } from "./page.js";

const { isJumbo, parse, parseInline, plainText, safeHref } = await import(new URL("markup.js", PAGE));

/** Write a tree as text: **x** is [strong x]. */
function shown(parts) {
  return parts
    .map((part) => ("parts" in part ? `[${part.is} ${shown(part.parts)}]` : part.is === "text" ? part.text : `[${part.is} ${part.text ?? part.name}]`))
    .join("");
}

const INLINE = [
  ["**bold** *it* _it_ ~~gone~~ ||secret||", "[strong bold] [em it] [em it] [strike gone] [spoiler secret]"],
  ["***both***", "[strong [em both]]"],
  ["**a *b* c**", "[strong a [em b] c]"],
  ["snake_case_name and 2*3*4", "snake_case_name and 2*3*4"],
  ["* not * a mark *", "* not * a mark *"],
  ["**open", "**open"],
  ["*a **b* c", "[em a **b] c"],
  ["`**x**` ``a`b``", "[code **x**] [code a`b]"],
  ["`never closed", "`never closed"],
  ["\\*plain\\* \\`code\\`", "*plain* `code`"],
  ["hi @Bob, and @Zoë-2. me@x.org", "hi [user Bob], and [user Zoë-2]. me@x.org"],
  ["see #dev and a#b #", "see [room dev] and a#b #"],
  [":tada: :nope: a:b:c", "[emoji 🎉] :nope: a:b:c"],
  ["https://x.org/a_(b)_c).", "[link https://x.org/a_(b)_c])."],
  ["(https://x.org/a)", "([link https://x.org/a])"],
  ["HTTPS://X.org, mailto:a@b.org!", "[link HTTPS://X.org], [link mailto:a@b.org]!"],
  ["javascript:alert(1) data:text/html,x file:///x", "javascript:alert(1) data:text/html,x file:///x"],
  ["xhttps://x.org https://", "xhttps://x.org https://"],
  ["**https://x.org/**", "[strong [link https://x.org/]]"],
  ["<b>no</b> &amp;", "<b>no</b> &amp;"],
  ["||**a**||", "[spoiler [strong a]]"],
  ["____ **** ||||", "____ **** ||||"],
];

for (const [source, expected] of INLINE) {
  test(`inline: ${source}`, () => assert.equal(shown(parseInline(source)), expected));
}

test("blocks: fences, quotes, lists and paragraphs", () => {
  const blocks = parse("one\ntwo\n```js\nlet a = `*`;\n```\n> q1\n> q2\n- a\n- **b**\n3. c\n4. d\nend");
  assert.deepEqual(blocks.map(({ is }) => is), ["paragraph", "fence", "quote", "list", "list", "paragraph"]);
  assert.deepEqual(blocks[1], { is: "fence", language: "js", text: "let a = `*`;" });
  assert.equal(blocks[4].start, 3);
  assert.equal(blocks[3].start, null);
});

test("blocks: a fence without an end and a lone number are text", () => {
  assert.deepEqual(parse("```\nopen").map(({ is }) => is), ["paragraph"]);
  assert.deepEqual(parse("2026. What a year.").map(({ is }) => is), ["paragraph"]);
  assert.deepEqual(parse(">_> hm").map(({ is }) => is), ["paragraph"]);
});

test("nothing of a text is lost", () => {
  const characters = ["*", "_", "`", "~", "|", "@", "#", ":", "\\", ">", "-", "1", ".", " ", "\n", "a", "é", "🎉", "http://a.b/", "(", ")"];
  let seed = 7;
  const next = (below) => (seed = (seed * 1103515245 + 12345) % 2147483648) % below;
  for (let round = 0; round < 3000; round += 1) {
    const source = Array.from({ length: next(40) }, () => characters[next(characters.length)]).join("");
    const words = plainText(source).replace(/[^a-zé1🎉]/gu, "");
    const kept = source.replace(/:[a-z0-9_+-]+:/gu, "").replace(/[^a-zé1🎉]/gu, "");
    if (!source.includes("||") && !/^ {0,3}\d/mu.test(source)) assert.ok(words.length >= kept.length - 40, source);
    assert.doesNotThrow(() => parse(source));
  }
});

test("8,000 hostile characters take a few milliseconds", () => {
  const hostile = ["*", "**a ", "`", "` `` ", "```\n", "||a", "https://((((", "@", "> \n", "\\", "_a", "- \n", ":a", "*_~~||`"];
  for (const part of hostile) parse(part.repeat(200)); // the engine compiles first
  for (const part of hostile) {
    const source = part.repeat(Math.ceil(8000 / part.length)).slice(0, 8000);
    const small = part.repeat(Math.ceil(2000 / part.length)).slice(0, 2000);
    const time = (text) => Math.min(...[1, 2, 3].map(() => {
      const start = performance.now();
      parse(text);
      return performance.now() - start;
    }));
    const [long, short] = [time(source), time(small)];
    assert.ok(long < 50 && (long < 5 || long < 12 * short), `${part}: ${long} ms, a quarter of it ${short} ms`);
  }
});

test("only http, https and mailto are followed", () => {
  for (const bad of ["javascript:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "blob:x", "http:", "mailto:nobody", "ftp://x"]) {
    assert.equal(safeHref(bad), null, bad);
  }
  assert.equal(safeHref("https://x.org"), "https://x.org/");
});

test("a few emoji alone are shown large", () => {
  for (const yes of ["🎉", "👍🏽 👨‍👩‍👧", ":tada:", "🇩🇪"]) assert.ok(isJumbo(yes), yes);
  for (const no of ["", "1", "#", "a🎉", "`🎉`", "🎉".repeat(20)]) assert.ok(!isJumbo(no), no);
});
