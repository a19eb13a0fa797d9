// Asks the official Node packages. `ask.py` asks those of Python in the same way.
//
//   node ask.mjs <node_modules> list     prints which packages there are, and what they need
//   node ask.mjs <node_modules> sign     reads requests to be signed and prints the headers that each gets
//   node ask.mjs <node_modules> verify   reads requests and prints what the package says of each: `null` for yes
import { readFileSync } from "node:fs";

import { OFFICIAL, setClock } from "./official.mjs";

const named = ({ package: name, provider }) =>
  OFFICIAL.find((it) => it.package === name && it.provider === provider);

const list = () =>
  OFFICIAL.map(({ package: name, provider, bodies = "any", needs = [], sign }) => ({
    package: name,
    provider,
    signs: sign !== undefined,
    bodies,
    needs,
  }));

function sign({ secrets, id, now, url, body, ...which }) {
  setClock(now);
  return named(which).sign({ secret: secrets[0], id, at: now, url, body: Buffer.from(body, "base64") });
}

/** One value for each name: repeated headers are joined by a comma, as Node does. */
function asAFrameworkGivesThem(headers) {
  const joined = {};
  for (const [name, value] of headers) joined[name] = name in joined ? `${joined[name]}, ${value}` : value;
  return joined;
}

async function verify({ secrets, headers, now, url, body, ...which }) {
  setClock(now);
  let reason = "no secret";
  for (const secret of secrets) {
    try {
      await named(which).judge({
        secret,
        headers: asAFrameworkGivesThem(headers),
        url,
        body: Buffer.from(body, "base64"),
      });
      return null;
    } catch (error) {
      // A package that crashes on a request does not take it either.
      reason = `${error?.name}: ${error?.message}`;
    }
  }
  return reason;
}

const answer = { list, sign, verify }[process.argv[3]];
if (answer === list) {
  process.stdout.write(JSON.stringify(list()));
} else {
  const answers = [];
  // One after the other, for they share a clock.
  for (const question of JSON.parse(readFileSync(0, "utf8"))) answers.push(await answer(question));
  process.stdout.write(JSON.stringify(answers));
}
