// The Socket.IO path: the Origin check on both transports, and answers to plain HTTP clients.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import http from 'node:http';
import { Daemon } from '../daemon.mjs';
import { Dashboard, refusal } from '../dashboard.mjs';

let daemon, device;
before(async () => {
  daemon = await Daemon.start();
  device = await daemon.device();
});
after(() => daemon.stop());

/** The status of a WebSocket handshake. */
function upgrade(headers, path = '/ws/?EIO=4&transport=websocket') {
  const [host, port] = daemon.address.split(':');
  return new Promise((done, fail) => {
    const request = http.get({
      host, port, path,
      headers: {
        Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': Buffer.alloc(16, 7).toString('base64'), ...headers,
      },
    });
    request.on('upgrade', (response, socket) => {
      socket.destroy();
      done(response.statusCode);
    });
    request.on('response', (response) => {
      response.resume();
      done(response.statusCode);
    });
    request.on('error', fail);
  });
}

const poll = (headers) => daemon.request('GET', '/ws/?EIO=4&transport=polling', { key: null, headers });

const foreign = [
  'https://evil.example', 'http://localhost.evil.example', 'http://evil.example:3000', 'http://localhost@evil.example',
  'http://notlocalhost:3000', 'null', 'file://', 'http://127.0.0.1.evil.example',
];
const allowed = ['http://localhost', 'http://localhost:5173', 'https://localhost:8443', 'http://127.0.0.1:3000'];

describe('Origin', () => {
  for (const origin of foreign) {
    // covers: connect 403 foreign Origin
    test(`${origin} is refused on both transports`, async () => {
      const answer = await poll({ Origin: origin });
      assert.equal(answer.status, 403);
      assert.equal(/"sid"/.test(answer.text), false);
      assert.equal(await upgrade({ Origin: origin }), 403);
    });
  }
  for (const origin of allowed) {
    test(`${origin} is accepted on both transports`, async () => {
      assert.equal((await poll({ Origin: origin })).status, 200);
      assert.equal(await upgrade({ Origin: origin }), 101);
    });
  }
  test('a missing Origin is accepted', async () => {
    assert.equal((await poll({})).status, 200);
    assert.equal(await upgrade({}), 101);
  });
  for (const transports of [['websocket'], ['polling']]) {
    test(`the client sees a foreign origin as an error, ${transports}`, async () => {
      const message = await refusal(daemon, device, { transports, extraHeaders: { Origin: 'https://evil.example' } });
      assert.equal(message, transports[0] === 'polling' ? 'xhr poll error' : 'websocket error');
      const dashboard = await Dashboard.open(daemon, device, { transports, extraHeaders: { Origin: 'http://localhost:5173' } });
      dashboard.close();
    });
  }
  test('a foreign origin cannot take over a session that exists', async () => {
    const open = await poll({});
    const { sid } = JSON.parse(open.text.slice(1));
    const path = `/ws/?EIO=4&transport=polling&sid=${sid}`;
    const post = await daemon.request('POST', path, { key: null, raw: '40', headers: { Origin: 'https://evil.example' } });
    assert.equal(post.status, 403);
    assert.equal(await upgrade({ Origin: 'https://evil.example' }, `/ws/?EIO=4&transport=websocket&sid=${sid}`), 403);
  });
  test('a polling answer allows its origin to read it', async () => {
    const answer = await poll({ Origin: 'http://localhost:5173' });
    assert.ok(['http://localhost:5173', '*'].includes(answer.headers['access-control-allow-origin']));
  });
});

describe('the path without Socket.IO', () => {
  for (const path of ['/ws', '/ws/', '/ws?apiKey=x', '/ws?EIO=4', '/ws/?EIO=4&transport=carrier-pigeon']) {
    // covers: connect 400 Transport unknown
    test(`GET ${path}`, async () => {
      const answer = await daemon.request('GET', path, { key: null });
      assert.equal(answer.status, 400);
      assert.match(answer.headers['content-type'], /^application\/json/);
      assert.deepEqual(answer.json, { code: 0, message: 'Transport unknown' });
    });
  }
  test('/wsfoo is not part of the path', async () => {
    const answer = await daemon.request('GET', '/wsfoo?EIO=4&transport=polling', { key: null });
    assert.equal(answer.status, 404);
  });
  test('an unknown session', async () => {
    const answer = await daemon.request('GET', '/ws/?EIO=4&transport=polling&sid=nosuchsession000', { key: null });
    assert.equal(answer.status, 400);
    assert.deepEqual(answer.json, { code: 1, message: 'Session ID unknown' });
  });
  test('an invalid upgrade is a client error', async () => {
    const status = await upgrade({ 'Sec-WebSocket-Version': '1' });
    assert.ok(status >= 400 && status < 500, `${status}`);
    const plain = await daemon.request('GET', '/ws/?EIO=4&transport=websocket', { key: null });
    assert.ok(plain.status >= 400 && plain.status < 500, `${plain.status}`);
  });
});
