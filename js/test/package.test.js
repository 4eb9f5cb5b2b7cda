import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import vm from "node:vm";

import { build, TARGET } from "../build.js";
import { DEFAULTS } from "../src/options.js";
import { TidegateClient } from "../src/tidegate-client.js";

const read = (name) => readFileSync(new URL(`../${name}`, import.meta.url), "utf8");
const types = read("index.d.ts");

test("the file for a script tag is as the modules make it", () => {
  assert.equal(readFileSync(TARGET, "utf8"), build(), "run: node build.js");
});

test("the file for a script tag makes one name", () => {
  const page = vm.createContext({ TextEncoder });
  vm.runInContext(build(), page);
  assert.deepEqual(Object.keys(page), ["TextEncoder", "TidegateClient"]);
  assert.throws(() => new page.TidegateClient("ws://gateway/"), /no WebSocket here/);
});

test("every option has its type, its default there, and its place in the docs", () => {
  const docs = read("../docs/browser-client.md");
  const options = /interface Options \{(.*?)^\}/ms.exec(types)[1];
  for (const [name, value] of Object.entries(DEFAULTS)) {
    assert.match(options, new RegExp(`^  ${name}\\?: `, "m"));
    assert.match(docs, new RegExp(`^\\| \`${name}\``, "m"));
    if (typeof value !== "number") continue;
    const written = value.toLocaleString("en-US");
    assert.match(options, new RegExp(`(${written}|${value}) by default[^\n]*\n  ${name}\\?`));
    assert.match(docs, new RegExp(`^\\| \`${name}\` \\| (${written}|${value}) \\|`, "m"));
  }
});

test("every method has its type", () => {
  for (const name of Object.getOwnPropertyNames(TidegateClient.prototype)) {
    assert.match(types, new RegExp(`^  (get )?${name}[(<]`, "m"));
  }
});

test("every event has its type and its place in the docs", () => {
  const docs = read("../docs/browser-client.md");
  for (const name of /EVENTS = [^[]*\[(.*?)\]/s.exec(read("src/tidegate-client.js"))[1].match(/\w+/g)) {
    assert.match(types, new RegExp(`^  ${name}: \\[`, "m"));
    assert.match(docs, new RegExp(`^\\| \`${name}\``, "m"));
  }
});
