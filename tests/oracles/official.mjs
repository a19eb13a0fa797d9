// The official Node packages behind one interface, as `official.py` has those of Python: each signs and judges a request
// as its provider documents it.
//
// The packages ask the time themselves, so theirs is replaced. The signature is the question: what a package says of a body
// after it has verified it is left out.
import { webcrypto } from "node:crypto";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

// Node 18, which Debian 12 has, keeps it to itself.
globalThis.crypto ??= webcrypto;

let now = 0;
const RealDate = Date;
globalThis.Date = class extends RealDate {
  constructor(...parts) {
    super(...(parts.length === 0 ? [now] : parts));
  }

  static now() {
    return now;
  }
};

/** Sets the time that all packages see, in seconds. */
export function setClock(seconds) {
  now = seconds * 1000;
}

// Some packages print what they think of a request.
for (const name of ["debug", "info", "log"]) console[name] = () => {};

// The packages are not installed beside this file.
const require = createRequire(pathToFileURL(join(resolve(process.argv[2]), "none.js")));
const load = (name) => require(name);
// Where a package is for `import` only.
const imported = (path) => import(pathToFileURL(join(resolve(process.argv[2]), path)).href);

const assert = (valid) => {
  if (valid !== true) throw new Error("not valid");
};
const text = (body) => body.toString("utf8");
const ANYTHING = "none";

/** The headers that Shopify's package wants to see, none of which is signed. */
const SHOPIFY = [
  ["x-shopify-topic", "orders/paid"],
  ["x-shopify-shop-domain", "shop.example.com"],
  ["x-shopify-api-version", "2026-10"],
  ["x-shopify-webhook-id", "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043"],
];

const octokit = await imported("@octokit/webhooks-methods/dist-node/index.js");
const linear = await imported("@linear/sdk/dist/webhooks/index.mjs");

load("@shopify/shopify-api/adapters/node");
const shopify = load("@shopify/shopify-api");
const shopifySigns = load("@shopify/shopify-api/test-helpers");
const commerce = load("coinbase-commerce-node");
const { Mux } = load("@mux/mux-node");
const { Resend } = load("resend");
const polar = load("@polar-sh/sdk/webhooks");
const { SDKValidationError } = load("@polar-sh/sdk/models/errors/sdkvalidationerror.js");
const { WebhookHandler } = load("@liveblocks/node");
const { validateWebhook } = load("replicate");
const clerk = load("@clerk/backend/webhooks");
const sanity = load("@sanity/webhook");
const { Paddle } = load("@paddle/paddle-node-sdk");
const zoom = load("@zoom/rivet/chatbot");
const discord = load("discord-interactions");
const sendgrid = load("@sendgrid/eventwebhook");
const standard = load("standardwebhooks");
const gocardless = load("gocardless-nodejs/webhooks");
const Razorpay = load("razorpay");
const { WorkOS } = load("@workos-inc/node");
const atlassian = load("atlassian-jwt");
const { Metronome } = load("@metronome/sdk");

/**
 * Each: its name in the registry, Hookward's name of the provider, the bodies that it judges ("any"; "shaped" when it reads
 * the body on the way to the verdict; "compact" when it writes it anew, so that only what JSON.stringify writes is judged),
 * unsigned headers that it needs, how it signs if it does, and how it judges: by throwing whatever says no.
 */
export const OFFICIAL = [
  {
    package: "@octokit/webhooks-methods",
    provider: "github",
    sign: async ({ secret, body }) => [["x-hub-signature-256", await octokit.sign(secret, text(body))]],
    judge: async ({ secret, headers, body }) =>
      assert(await octokit.verify(secret, text(body), headers["x-hub-signature-256"])),
  },
  {
    package: "@shopify/shopify-api",
    provider: "shopify",
    needs: SHOPIFY,
    sign: ({ secret, body }) => [["x-shopify-hmac-sha256", shopifySigns.getHmac(text(body), secret)]],
    judge: async ({ secret, headers, body }) => {
      const api = shopify.shopifyApi({
        apiKey: ANYTHING,
        apiSecretKey: secret,
        apiVersion: shopify.LATEST_API_VERSION ?? shopify.ApiVersion.October25,
        hostName: "app.example.com",
        isEmbeddedApp: false,
        logger: { log: () => {} },
      });
      const rawRequest = { method: "POST", url: "/", headers };
      const { valid, reason } = await api.webhooks.validate({ rawBody: text(body), rawRequest, rawResponse: {} });
      if (!valid) throw new Error(reason);
    },
  },
  {
    package: "coinbase-commerce-node",
    provider: "coinbase-commerce",
    bodies: "shaped",
    sign: ({ secret, body }) => [["x-cc-webhook-signature", commerce.Webhook.computeSignature(text(body), secret)]],
    judge: ({ secret, headers, body }) =>
      commerce.Webhook.verifyEventBody(text(body), headers["x-cc-webhook-signature"], secret),
  },
  {
    package: "@linear/sdk",
    provider: "linear",
    judge: ({ secret, headers, body }) =>
      assert(new linear.LinearWebhookClient(secret).verify(body, headers["linear-signature"])),
  },
  {
    package: "@mux/mux-node",
    provider: "mux",
    judge: ({ secret, headers, body }) =>
      new Mux({ tokenId: ANYTHING, tokenSecret: ANYTHING }).webhooks.verifySignature(text(body), headers, secret),
  },
  {
    package: "resend",
    provider: "resend",
    judge: ({ secret, headers, body }) =>
      new Resend(ANYTHING).webhooks.verify({
        payload: text(body),
        headers: {
          id: headers["svix-id"],
          timestamp: headers["svix-timestamp"],
          signature: headers["svix-signature"],
        },
        webhookSecret: secret,
      }),
  },
  {
    package: "@polar-sh/sdk",
    provider: "polar",
    judge: ({ secret, headers, body }) => {
      try {
        polar.validateEvent(text(body), headers, secret);
      } catch (error) {
        // Verified, and then not one of the events that it knows.
        if (!(error instanceof SDKValidationError)) throw error;
      }
    },
  },
  {
    package: "@liveblocks/node",
    provider: "liveblocks",
    bodies: "shaped",
    judge: ({ secret, headers, body }) => new WebhookHandler(secret).verifyRequest({ headers, rawBody: text(body) }),
  },
  {
    package: "replicate",
    provider: "replicate",
    judge: async ({ secret, headers, body }) =>
      assert(
        await validateWebhook({
          id: headers["webhook-id"],
          timestamp: headers["webhook-timestamp"],
          signature: headers["webhook-signature"],
          body: text(body),
          secret,
        }),
      ),
  },
  {
    package: "@clerk/backend",
    provider: "clerk",
    judge: ({ secret, headers, body, url }) =>
      clerk.verifyWebhook(new Request(url, { method: "POST", headers, body }), { signingSecret: secret }),
  },
  {
    package: "@sanity/webhook",
    provider: "sanity",
    sign: async ({ secret, body, at }) => [
      ["sanity-webhook-signature", await sanity.encodeSignatureHeader(text(body), at * 1000, secret)],
    ],
    judge: ({ secret, headers, body }) =>
      sanity.assertValidSignature(text(body), headers["sanity-webhook-signature"], secret),
  },
  {
    package: "@paddle/paddle-node-sdk",
    provider: "paddle",
    judge: async ({ secret, headers, body }) =>
      assert(await new Paddle(ANYTHING).webhooks.isSignatureValid(text(body), secret, headers["paddle-signature"])),
  },
  {
    package: "@zoom/rivet",
    provider: "zoom",
    bodies: "compact",
    judge: async ({ secret, headers, body }) => {
      const receiver = new zoom.AwsLambdaReceiver({ webhooksSecretToken: secret });
      const answer = await receiver.start()({ headers, body: text(body), isBase64Encoded: false }, {});
      if (answer.statusCode !== 200) throw new Error(answer.body);
    },
  },
  ...["discord", "discord-events"].map((provider) => ({
    package: "discord-interactions",
    provider,
    judge: async ({ secret, headers, body }) =>
      assert(
        await discord.verifyKey(body, headers["x-signature-ed25519"], headers["x-signature-timestamp"], secret),
      ),
  })),
  {
    package: "@sendgrid/eventwebhook",
    provider: "sendgrid",
    judge: ({ secret, headers, body }) => {
      const { EventWebhook, EventWebhookHeader } = sendgrid;
      const webhook = new EventWebhook();
      const signature = headers[EventWebhookHeader.SIGNATURE().toLowerCase()];
      const timestamp = headers[EventWebhookHeader.TIMESTAMP().toLowerCase()];
      assert(webhook.verifySignature(webhook.convertPublicKeyToECDSA(secret), body, signature, timestamp));
    },
  },
  {
    package: "standardwebhooks",
    provider: "standard-webhooks",
    sign: ({ secret, id, at, body }) => [
      ["webhook-id", id],
      ["webhook-timestamp", String(at)],
      ["webhook-signature", new standard.Webhook(secret).sign(id, new Date(at * 1000), text(body))],
    ],
    judge: ({ secret, headers, body }) =>
      new standard.Webhook(secret).verify(text(body), headers, { jsonParse: false }),
  },
  {
    package: "gocardless-nodejs",
    provider: "gocardless",
    judge: ({ secret, headers, body }) => gocardless.verifySignature(body, secret, headers["webhook-signature"]),
  },
  {
    package: "razorpay",
    provider: "razorpay",
    judge: ({ secret, headers, body }) =>
      assert(Razorpay.validateWebhookSignature(text(body), headers["x-razorpay-signature"], secret)),
  },
  {
    package: "@metronome/sdk",
    provider: "metronome",
    sign: ({ secret, body, at }) => {
      const date = new Date(at * 1000).toUTCString();
      const { webhooks } = new Metronome({ bearerToken: ANYTHING });
      return [
        ["x-metronome-date", date],
        ["metronome-webhook-signature", webhooks.signPayload(text(body), { date, secret })],
      ];
    },
    judge: ({ secret, headers, body }) =>
      new Metronome({ bearerToken: ANYTHING }).webhooks.verifySignature(text(body), headers, secret),
  },
  {
    package: "atlassian-jwt",
    provider: "atlassian-connect",
    sign: ({ secret, url, at }) => {
      const qsh = atlassian.createQueryStringHash(atlassian.fromMethodAndUrl("POST", url));
      const token = atlassian.encodeSymmetric({ iss: "client-1", iat: at, exp: at + 180, qsh }, secret);
      return [["authorization", `JWT ${token}`]];
    },
    // It leaves the claims to whoever calls it.
    judge: ({ secret, headers, url }) => {
      const token = headers.authorization.replace(/^JWT /, "");
      const claims = atlassian.decodeSymmetric(token, secret, atlassian.SymmetricAlgorithm.HS256);
      assert(claims.iss === "client-1" && claims.exp * 1000 > Date.now());
      assert(claims.qsh === atlassian.createQueryStringHash(atlassian.fromMethodAndUrl("POST", url)));
    },
  },
  {
    package: "@workos-inc/node",
    provider: "workos",
    bodies: "compact",
    sign: async ({ secret, body, at }) => {
      const { webhooks } = new WorkOS(ANYTHING);
      const signature = await webhooks.computeSignature(at * 1000, JSON.parse(text(body)), secret);
      return [["workos-signature", `t=${at * 1000}, v1=${signature}`]];
    },
    judge: ({ secret, headers, body }) =>
      new WorkOS(ANYTHING).webhooks.verifyHeader({
        payload: JSON.parse(text(body)),
        sigHeader: headers["workos-signature"],
        secret,
      }),
  },
];
