// Verifies deliveries with the Standard Webhooks library from npm.
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { Webhook } from 'standardwebhooks';
import { Daemon, until } from '../daemon.mjs';

let daemon, receiver, received, device, secret, delivery;

const type = ({ body }) => JSON.parse(body).type;

before(async () => {
  received = [];
  receiver = http.createServer((request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      received.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
      response.writeHead(204).end();
    });
  });
  await new Promise((done) => receiver.listen(0, '127.0.0.1', done));
  daemon = await Daemon.start({ WHARF__NET__ALLOW_PRIVATE: '127.0.0.1' });
  device = await daemon.device();
  const url = `http://127.0.0.1:${receiver.address().port}/in`;
  const made = await daemon.call('POST', `/devices/${device}/webhooks`, { url, events: ['state', 'qr'] });
  secret = daemon.secret(made.signingSecret);
  await daemon.call('POST', `/webhooks/${made.webhook.id}/test`);
  // Events of the starting device are delivered as well.
  delivery = await until(() => received.find((one) => type(one) === 'webhook:test'), 'the test delivery');
});
after(async () => {
  await daemon.stop();
  receiver.close();
});

test('a delivery verifies', () => {
  const { headers, body } = delivery;
  assert.equal(new Webhook(secret).verify(body, headers).type, 'webhook:test');
});

test('a wrong secret, changed body or old time is refused', () => {
  const { headers, body } = delivery;
  const other = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
  assert.throws(() => new Webhook(other).verify(body, headers), /signature/i);
  assert.throws(() => new Webhook(secret).verify(`${body} `, headers), /signature/i);
  const old = { ...headers, 'webhook-timestamp': String(Number(headers['webhook-timestamp']) - 3_600) };
  assert.throws(() => new Webhook(secret).verify(body, old), /old/i);
});
