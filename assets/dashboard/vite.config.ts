import { basename } from "node:path";
import preact from "@preact/preset-vite";
import { defineConfig } from "vite";

const daemon = process.env.WHARF_URL ?? "http://127.0.0.1:3000";

// Relative URLs let the page work below a proxy's path prefix. The daemon serves index.html, sw.js and ui/ only.
export default defineConfig({
  base: "./",
  plugins: [preact({ devToolsEnabled: false })],
  css: {
    // Names without hashes of paths, so that two builds give equal bytes.
    modules: { generateScopedName: (name, file) => `${basename(file).replace(".module.css", "")}-${name}` },
  },
  build: {
    target: "es2022",
    cssTarget: ["chrome125", "firefox128", "safari17.5"],
    assetsDir: "ui",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    // The console script is outside of this folder.
    fs: { allow: [".."] },
    proxy: {
      "/api": { target: daemon },
      "/ws": { target: daemon, ws: true, changeOrigin: true, rewriteWsOrigin: true },
    },
  },
});
