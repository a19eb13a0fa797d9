// Writes the recorded payloads of @octokit/webhooks-examples as one file each, minified as GitHub sends them:
// `<number>.<event>[.<action>].json`.
//
//   node payloads.mjs <node_modules> <directory>
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [modules, directory] = process.argv.slice(2);
const recorded = join(modules, "@octokit/webhooks-examples/api.github.com/index.json");
const payloads = JSON.parse(readFileSync(recorded, "utf8")).flatMap(({ name, examples }) =>
  examples.map((payload) => ({ name, payload })),
);

mkdirSync(directory, { recursive: true });
payloads.forEach(({ name, payload }, index) => {
  const number = String(index).padStart(3, "0");
  const file = [number, name, payload.action, "json"].filter((part) => part !== undefined).join(".");
  writeFileSync(join(directory, file), JSON.stringify(payload));
});
console.log(`${payloads.length} recorded payloads`);
