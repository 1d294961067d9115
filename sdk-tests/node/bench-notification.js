// How many notifications per second the Node SDK verifies, opens and parses, on one thread. Prints one number.
// Run by `cargo bench -p weixin --bench api_v3` when the packages are installed.
import { readFileSync } from 'node:fs';
import wechatpay from 'wechatpay-axios-plugin';

const { Rsa, Aes: { AesGcm }, Formatter } = wechatpay;
const file = new URL('../../crates/weixin/tests/vectors/pay-v3.json', import.meta.url);
const vectors = JSON.parse(readFileSync(file, 'utf8'));
const { headers, body } = vectors.callbacks[0];
const certificate = Rsa.from(vectors.keys.PLATFORM_1.certificate_pem, Rsa.KEY_TYPE_PUBLIC);

function read() {
  const message = Formatter.response(headers['Wechatpay-Timestamp'], headers['Wechatpay-Nonce'], body);
  if (!Rsa.verify(message, headers['Wechatpay-Signature'], certificate)) throw new Error('not authentic');
  const { resource } = JSON.parse(body);
  const plain = AesGcm.decrypt(resource.ciphertext, vectors.keys.apiv3_key, resource.nonce, resource.associated_data);
  if (JSON.parse(plain).trade_state !== 'SUCCESS') throw new Error('not paid');
}

for (let i = 0; i < 2000; i += 1) read();
const started = process.hrtime.bigint();
let count = 0;
while (process.hrtime.bigint() - started < 1_000_000_000n) { for (let i = 0; i < 50; i += 1) read(); count += 50; }
console.log(Math.round(count / (Number(process.hrtime.bigint() - started) / 1e9)));
