// Makes browser/tidegate-client.js, the single file for a <script> tag, of the modules in src/.
//
//     node build.js

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

// Each behind those that it imports.
const MODULES = ["events", "options", "queue", "silence", "link", "tidegate-client"];

export const TARGET = new URL("browser/tidegate-client.js", import.meta.url);

/** @returns {string} the file as the modules make it now. */
export function build() {
  const { version } = JSON.parse(readFileSync(new URL("package.json", import.meta.url), "utf8"));
  const parts = MODULES.map((name) => body(readFileSync(new URL(`src/${name}.js`, import.meta.url), "utf8")));
  return `// tidegate-client ${version}, for a <script> tag. MIT licence. Made by build.js: change the modules in src/ instead.
(() => {
"use strict";

${parts.join("\n")}
globalThis.TidegateClient = TidegateClient;
})();
`;
}

/** @param {string} source of a module, without what binds it to others. */
function body(source) {
  return source
    .replace(/^import [^;]*;\n+/gm, "")
    .replace(/^\/\*\* @import [^\n]*\n+/gm, "")
    .replace(/^export /gm, "");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(TARGET, build());
