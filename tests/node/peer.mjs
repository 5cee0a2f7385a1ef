// The networks' software for Node, asked line by line: a JSON request on stdin, its JSON answer on stdout.
//
// A request is {"sdk": …, "do": …} and what that needs; its answer is {"said": …}, or {"refused": "…"} with the
// package's own words where it throws. Nothing is signed or judged here: each command is one call of a package.

import { createInterface } from 'node:readline';

import { AlipaySdk } from 'alipay-sdk';
import Razorpay from 'razorpay';
import Stripe from 'stripe';
import wechatpay from 'wechatpay-axios-plugin';

const { Aes, Decorator, Formatter, Rsa } = wechatpay;
const UNUSED_KEY = 'MA==';

const alipaySdks = new Map();

// One per pair of keys: making one reads the keys. `signs` is a private key (PKCS #8), `proves` a public one.
function alipay({ signs = UNUSED_KEY, proves, app = '2021000000000001', certificates }) {
  const asked = JSON.stringify([signs, proves, app, certificates]);
  if (!alipaySdks.has(asked)) {
    const configured = { appId: app, privateKey: signs, keyType: 'PKCS8', alipayPublicKey: proves };
    alipaySdks.set(asked, new AlipaySdk({ ...configured, ...certificates }));
  }
  return alipaySdks.get(asked);
}

const bytes = (hexadecimal) => Buffer.from(hexadecimal, 'hex');

const COMMANDS = {
  alipay: {
    // A form with its signature over all of it, sign_type included.
    sign: (asked) => alipay(asked).sdkExecute(asked.method, asked.parameters, { bizContentAutoSnakeCase: false }),
    check: (asked) => alipay(asked).checkNotifySignV2(asked.form),
    'check as before': (asked) => alipay(asked).checkNotifySign(asked.form),
    'check answer': (asked) => {
      alipay(asked).checkResponseSign(asked.text, asked.name, JSON.parse(asked.text).sign);
      return true;
    },
    serials: (asked) => {
      const { appCertSn, alipayCertSn, alipayRootCertSn } = alipay(asked).config;
      return { appCertSn, alipayCertSn, alipayRootCertSn };
    },
  },
  wechatpay: {
    'sign notification': ({ key, timestamp, nonce, body }) => Rsa.sign(Formatter.response(timestamp, nonce, body), key),
    'sign request': ({ key, method, target, timestamp, nonce, body }) => (
      Rsa.sign(Formatter.request(method, target, timestamp, nonce, body), key)
    ),
    'sign lines': ({ key, lines }) => Rsa.sign(Formatter.joinedByLineFeed(...lines), key),
    authorization: ({ mchid, nonce, signature, timestamp, serial }) => (
      Formatter.authorization(mchid, nonce, signature, timestamp, serial)
    ),
    // What its own client does with an answer: the time, the key that is named, and the signature.
    check: ({ keys, headers, body }) => Decorator.responseVerifier(keys).call({}, body, headers) === body,
    seal: ({ text, key, nonce, bound }) => Aes.AesGcm.encrypt(text, key, nonce, bound),
    open: ({ ciphertext, key, nonce, bound }) => Aes.AesGcm.decrypt(ciphertext, key, nonce, bound),
    'read bill': ({ body }) => Formatter.castCsvBill(bytes(body)),
  },
  stripe: {
    sign: ({ payload, secret, timestamp }) => Stripe.webhooks.generateTestHeaderString({ payload, secret, timestamp }),
    check: ({ body, header, secret, now }) => (
      Stripe.webhooks.constructEvent(bytes(body), header, secret, 300, undefined, now * 1000).id
    ),
  },
  razorpay: {
    check: ({ body, signature, secret }) => Razorpay.validateWebhookSignature(body, signature, secret),
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  let answer;
  try {
    answer = { said: COMMANDS[asked.sdk][asked.do](asked) };
  } catch (failure) {
    answer = { refused: String(failure.message) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
