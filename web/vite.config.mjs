import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { defineConfig } from "vite";

// The built files name the sources they were built from, so that a test without Node can tell whether they are stale.
function sourceDigest() {
  const digest = createHash("sha256");
  for (const name of readdirSync("src").sort()) {
    if (!name.includes(".test.")) digest.update(name).update(readFileSync(`src/${name}`));
  }
  return digest.digest("hex");
}

function stamp() {
  return {
    name: "stamp-sources",
    generateBundle(_, bundle) {
      for (const file of Object.values(bundle)) {
        if (file.type === "chunk") file.code = `/* built from web/src, sha256 ${sourceDigest()} */\n${file.code}`;
      }
    },
  };
}

export default defineConfig({
  define: { "process.env.NODE_ENV": '"production"' },
  plugins: [stamp()],
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    target: "es2022",
    outDir: "../src/radiolucent/report/viewer",
    emptyOutDir: true,
    lib: {
      entry: "src/main.tsx",
      formats: ["iife"],
      name: "radiolucentViewer",
      fileName: () => "viewer.js",
      cssFileName: "viewer",
    },
  },
});
