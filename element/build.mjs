// Makes what pages load of what stands beside this file: one module, minified, to standard output.
import { createRequire } from "node:module";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const require = createRequire(new URL("../tests/browser/", import.meta.url)); // npm's packages lie there
const esbuild = require("esbuild"), { minify } = require("terser");

const look = { // a style sheet, squeezed, as text
  name: "look",
  setup: (build) => build.onLoad({ filter: /\.css$/ }, async ({ path }) => {
    const { code } = await esbuild.transform(await readFile(path, "utf8"), { loader: "css", minify: true });
    return { contents: code.trim(), loader: "text" };
  }),
};
const { outputFiles: [whole] } = await esbuild.build({
  entryPoints: [fileURLToPath(new URL("headway.js", import.meta.url))],
  bundle: true, write: false, format: "esm", target: "esnext", plugins: [look], charset: "utf8",
});
const { code } = await minify(whole.text, {
  module: true, ecma: 2020,
  compress: { passes: 3, unsafe: true },
  format: { preamble: "// headway in a web page; made of element/ by `make element`.  Types: headway.d.ts" },
});
console.log(code);
