// Checks the sizes of dist/: scripts and styles as the daemon serves them, and all files as the binary contains them.
import { readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const KB = 1000;
const dist = new URL("dist/", import.meta.url);
const read = (name) => readFileSync(new URL(name, dist));
const raw = (names) => names.reduce((sum, name) => sum + read(name).length, 0);
const zipped = (names) => names.reduce((sum, name) => sum + gzipSync(read(name), { level: 9 }).length, 0);

const files = readdirSync(dist, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => `${entry.parentPath.replace(/\/?$/, "/").endsWith("/ui/") ? "ui/" : ""}${entry.name}`);
const scripts = files.filter((name) => name.startsWith("ui/") && name.endsWith(".js"));
const html = String(read("index.html"));
const initial = scripts.filter((name) => html.includes(name));
const later = scripts.filter((name) => !initial.includes(name));
const styles = files.filter((name) => name.endsWith(".css"));

const bounds = [
  ["initial JavaScript", zipped(initial), 120 * KB],
  ["largest later chunk", Math.max(0, ...later.map((name) => zipped([name]))), 60 * KB],
  ["CSS", zipped(styles), 25 * KB],
  ["added to the binary", raw(files), 1024 * 1024],
  ["files", files.length, 40],
];
let isOver = initial.length === 0;
for (const [what, size, bound] of bounds) {
  console.log(`${what}: ${size} of ${bound}`);
  isOver ||= size > bound;
}
process.exit(isOver ? 1 : 0);
