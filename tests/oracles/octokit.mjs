// What @octokit/webhooks-methods says of recorded payloads.
//
//   node octokit.mjs <node_modules> <directory of payloads>
//
// Reads {"secret": …, "signatures": {"<file>": "<Hookward's signature>"}} and prints for each file the package's own
// signature, and its verdict on Hookward's over the payload, over the payload with one byte changed, and under another secret.
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, directory] = process.argv.slice(2);
const methods = resolve(modules, "@octokit/webhooks-methods/dist-node/index.js");
const { sign, verify } = await import(pathToFileURL(methods).href);

const { secret, signatures } = JSON.parse(readFileSync(0, "utf8"));
const verdicts = {};
for (const [file, signature] of Object.entries(signatures)) {
  const payload = readFileSync(join(directory, file), "utf8");
  const middle = Math.floor(payload.length / 2);
  const changed = payload.slice(0, middle) + (payload[middle] === "0" ? "1" : "0") + payload.slice(middle + 1);
  verdicts[file] = {
    signature: await sign(secret, payload),
    accepts: await verify(secret, payload, signature),
    accepts_changed: await verify(secret, changed, signature),
    accepts_other_secret: await verify(`${secret}0`, payload, signature),
  };
}
console.log(JSON.stringify(verdicts));
