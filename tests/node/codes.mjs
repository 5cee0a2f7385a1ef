// Packages for Node that write and read payment codes, asked line by line as `peer.mjs` is.
//
// Nothing is written or judged here: each command is one call of a package, with the arguments that it wants.

import { createInterface } from 'node:readline';

import bakong from 'bakong-khqr';
import pix from 'pix-utils';
import { parse } from 'promptparse';
import * as prompt from 'promptparse/generate';
import * as promptReads from 'promptparse/validate';
import promptpay from 'promptpay-qr';
import upiqr from 'upiqr';
import vietnam from 'vietnam-qr-pay';

const { BakongKHQR, IndividualInfo, MerchantInfo } = bakong;
const { QRPay } = vietnam;

const orThrow = (answer) => {
  if (answer.error || answer.message) throw new Error(answer.message);
  return answer;
};
const data = (answer) => {
  if (answer.status.code) throw new Error(answer.status.message);
  return answer.data;
};

const COMMANDS = {
  'pix-utils': {
    'write static': (asked) => orThrow(pix.createStaticPix(asked.fields)).toBRCode(),
    'write dynamic': (asked) => orThrow(pix.createDynamicPix(asked.fields)).toBRCode(),
    'write recurrence': (asked) => orThrow(pix.createRecurrencePix(asked.fields)).toBRCode(),
    read: (asked) => orThrow(pix.parsePix(asked.text)),
  },
  promptparse: {
    'write person': (asked) => prompt.anyId(asked.fields),
    'write bill': (asked) => prompt.billPayment(asked.fields),
    'write slip': (asked) => prompt.slipVerify(asked.fields),
    'write wallet slip': (asked) => prompt.trueMoneySlipVerify(asked.fields),
    'read person': (asked) => promptReads.anyId(asked.text),
    'read bill': (asked) => promptReads.billPayment(asked.text),
    'read slip': (asked) => promptReads.slipVerify(asked.text),
    // Every object, those of templates too; null for a check sum that does not fit.
    objects: (asked) => parse(asked.text, true)?.getTags() ?? null,
  },
  'promptpay-qr': {
    write: (asked) => promptpay(asked.target, { amount: asked.amount }),
  },
  'vietnam-qr-pay': {
    'write transfer': (asked) => QRPay.initVietQR(asked.fields).build(),
    'write merchant': (asked) => QRPay.initVNPayQR(asked.fields).build(),
    read: (asked) => new QRPay(asked.text),
  },
  'bakong-khqr': {
    'write person': ({ account, name, city, optional }) => (
      data(new BakongKHQR().generateIndividual(new IndividualInfo(account, name, city, optional)))
    ),
    'write merchant': ({ account, name, city, number, bank, optional }) => (
      data(new BakongKHQR().generateMerchant(new MerchantInfo(account, name, city, number, bank, optional)))
    ),
    read: (asked) => data(BakongKHQR.decode(asked.text)),
    verify: (asked) => BakongKHQR.verify(asked.text).isValid,
  },
  upiqr: {
    write: async (asked) => (await upiqr(asked.fields)).intent,
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  let answer;
  try {
    answer = { said: await COMMANDS[asked.sdk][asked.do](asked) };
  } catch (failure) {
    answer = { refused: String(failure?.message ?? failure) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
