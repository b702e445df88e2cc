import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { defineConfig } from "vite";

// Two pages: the report's viewer (`vite build`) and the clinic's review page (`vite build --mode clinic`). Each built
// file names the sources it was built from, so that a test without Node can tell whether it is stale.
const SHARED = ["Icon.tsx", "colour.ts", "data.ts", "film.ts", "geometry.ts", "pagekeys.ts", "strings.ts"]; // of the viewer's, what the clinic's page uses
const PAGES = {
  viewer: {
    entry: "src/main.tsx",
    name: "radiolucentViewer",
    outDir: "../src/radiolucent/report/viewer",
    sources: () => filesOf("src"),
  },
  clinic: {
    entry: "src/clinic/main.tsx",
    name: "radiolucentClinic",
    outDir: "../src/radiolucent/clinic/page",
    sources: () => [...filesOf("src/clinic"), ...SHARED],
    copied: ["index.html", "favicon.svg"], // from the entry's folder, as they are
  },
};

function filesOf(folder) {
  const entries = readdirSync(folder, { withFileTypes: true });
  const within = folder.slice("src/".length);
  return entries.filter((entry) => entry.isFile()).map((entry) => (within ? `${within}/${entry.name}` : entry.name));
}

function sourceDigest(names) {
  const digest = createHash("sha256");
  for (const name of names.sort()) {
    if (!name.includes(".test.")) digest.update(name).update(readFileSync(`src/${name}`));
  }
  return digest.digest("hex");
}

function stamp(page) {
  return {
    name: "stamp-sources",
    generateBundle(_, bundle) {
      const line = `/* built from web/src, sha256 ${sourceDigest(page.sources())} */`;
      for (const file of Object.values(bundle)) {
        if (file.type === "chunk") file.code = `${line}\n${file.code}`;
      }
      for (const fileName of page.copied ?? []) {
        this.emitFile({ type: "asset", fileName, source: readFileSync(`src/clinic/${fileName}`, "utf8") });
      }
    },
  };
}

export default defineConfig(({ mode }) => {
  const name = mode === "clinic" ? "clinic" : "viewer";
  const page = PAGES[name];
  return {
    define: { "process.env.NODE_ENV": '"production"' },
    plugins: [stamp(page)],
    oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
    build: {
      target: "es2022",
      outDir: page.outDir,
      emptyOutDir: true,
      lib: {
        entry: page.entry,
        formats: ["iife"],
        name: page.name,
        fileName: () => `${name}.js`,
        cssFileName: name,
      },
    },
  };
});
