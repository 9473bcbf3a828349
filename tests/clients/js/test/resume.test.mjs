// Resume: no gap and no duplicate, by auth and query, under load, over restarts and kills, and for slow readers.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import WebSocket from 'ws';
import { io } from 'socket.io-client';
import { Daemon, sleep, until } from '../daemon.mjs';
import { Dashboard, PATH } from '../dashboard.mjs';

const FRIEND = '15550100001';

/** Sends `count` messages from a contact, `wide` at a time. */
async function traffic(daemon, device, count, { wide = 16, size = 0, from = FRIEND } = {}) {
  let left = count;
  const one = async () => {
    while (left-- > 0) await daemon.simulate(device, 'incoming', { from, body: daemon.body('load') + 'x'.repeat(size) });
  };
  await Promise.all(Array.from({ length: wide }, one));
}

// Notifications arrive later than the events that are counted here.
const QUIET = { WHARF__LOG__LEVEL: 'info', WHARF__NOTIFY__ENABLED: 'false' };

describe('resume', () => {
  let daemon, device;
  before(async () => {
    daemon = await Daemon.start(QUIET);
    device = await daemon.linked();
    await traffic(daemon, device, 40);
  });
  after(() => daemon.stop());

  const newest = async () => (await daemon.events(device)).at(-1).seq;

  // covers: resume by auth.since
  test('auth.since replays newer events in order, then live ones', async () => {
    const last = await newest();
    for (const [since, transport] of [[0, 'websocket'], [0, 'polling'], [7, 'polling'], [last - 1, 'websocket'], [last, 'websocket']]) {
      const board = await Dashboard.open(daemon, device, { since, transports: [transport] });
      const end = await newest();
      await until(() => board.lastSeq === end, `seq ${end} after since ${since}`);
      await daemon.incoming(device, FRIEND, daemon.body('live'));
      await until(() => board.lastSeq > end, 'live');
      assert.equal(board.named('resync').length, 0);
      board.close();
    }
  });

  // covers: resume by query since
  test('query since', async () => {
    const end = await newest();
    const board = new Dashboard(daemon, device, { query: { apiKey: daemon.key, since: '5' } });
    board.lastSeq = 5;
    await until(() => board.lastSeq === end, `seq ${end}`);
    board.close();
  });

  test('a since as text in auth', async () => {
    const end = await newest();
    const board = new Dashboard(daemon, device, { since: 5, auth: {} });
    board.socket.auth = { since: '5' };
    await until(() => board.lastSeq === end, `seq ${end}`);
    board.close();
  });

  test('without since there is no replay', async () => {
    const board = await Dashboard.open(daemon, device);
    await board.quiet();
    assert.equal(board.lastSeq, undefined);
    board.close();
  });

  // covers: event resync
  test('resync for a since that is larger than the newest', async () => {
    const end = await newest();
    const board = new Dashboard(daemon, device, { since: end + 1_000 });
    board.anySeq();
    const resync = await board.next('resync');
    assert.deepEqual({ ...resync, timestamp: 0 }, { deviceId: device, oldestSeq: 1, newestSeq: end, timestamp: 0 });
    await daemon.incoming(device, FRIEND, daemon.body('after'));
    await board.next('message');
    assert.equal(board.named('resync').length, 1);
    const seqAt = board.all.findIndex(({ payload }) => payload.seq);
    assert.ok(board.all.findIndex(({ name }) => name === 'resync') < seqAt, 'resync comes first');
    board.close();
  });

  test('an invalid since is ignored', async () => {
    for (const since of ['abc', -1, 1.5, null, {}, [], true, 1e300, '', 'NaN', '9'.repeat(40)]) {
      const board = new Dashboard(daemon, device, { auth: { since } });
      board.anySeq();
      await until(() => board.refusals.length || board.socket.connected, `since ${JSON.stringify(since)}`);
      board.socket.disconnect();
    }
  });

  test('no gap under load with constant reconnects', async () => {
    const { seq: start } = (await daemon.events(device)).at(-1);
    let running = true;
    const load = Promise.all([
      traffic(daemon, device, 800),
      traffic(daemon, device, 400, { from: '15550100002', wide: 4 }),
      (async () => {
        for (let i = 0; i < 120; i += 1) {
          await daemon.call('POST', `/devices/${device}/messages/send`, { to: `155501001${10 + (i % 10)}`, text: daemon.body('load') });
        }
      })(),
    ]).then(() => (running = false));

    // Three clients with different pauses and transports; they drop without a disconnect packet.
    const reader = async (transports, pause) => {
      let since = start;
      let rounds = 0;
      const seen = [];
      const round = async (ms) => {
        const board = new Dashboard(daemon, device, { since, transports });
        await until(() => board.socket.connected, 'connected');
        await sleep(ms);
        board.socket.disconnect();
        board.check();
        assert.equal(board.named('resync').length, 0);
        for (const { name, payload } of board.all) if (payload.seq && name !== 'message-ack') seen.push(payload.seq);
        // The alias was cut off; its entry counts as received.
        since = board.lastSeq ?? since;
        rounds += 1;
      };
      while (running) await round(pause + Math.random() * pause);
      return { seen, rounds, finish: async () => {
        await round(800);
        return seen;
      } };
    };
    const readers = await Promise.all([reader(['websocket'], 15), reader(['websocket'], 80), reader(['polling'], 60)]);
    await load;
    let end = 0;
    await until(async () => {
      const now = await newest();
      const still = now === end;
      end = now;
      await sleep(300);
      return still;
    }, 'the log is at rest', 20_000);
    assert.ok(end - start >= 2_000, `${end - start} events`);
    for (const { finish, rounds } of readers) {
      const seen = [...new Set(await finish())];
      assert.ok(rounds > 3, `${rounds} rounds`);
      assert.deepEqual(seen, Array.from({ length: end - start }, (_, index) => start + 1 + index));
    }
  });

  test('the logs of many devices stay separate', async () => {
    const devices = await Promise.all([1, 2, 3].map(() => daemon.linked()));
    const boards = await Promise.all(devices.map((id) => Dashboard.open(daemon, id, { since: 0 })));
    await Promise.all(devices.map((id) => traffic(daemon, id, 50, { wide: 4 })));
    for (const board of boards) {
      await until(() => board.named('message').length === 50, '50 messages');
      board.close();
    }
  });
});

describe('across restarts of the daemon', () => {
  for (const [name, stop] of [['SIGTERM', 'term'], ['SIGKILL', 'kill']]) {
    // covers: resume over restarts
    test(`${name}: a dashboard reconnects without loss`, async () => {
      const daemon = await Daemon.start(QUIET);
      const board = { seqs: [], disconnects: [], refusals: [], states: [] };
      let socket;
      try {
        const device = await daemon.linked();
        let since = 0;
        // As in a frontend: the client reconnects by itself with its last seq.
        socket = io(`${daemon.url}/device/${device}`, {
          path: PATH, transports: ['websocket'], forceNew: true, query: { apiKey: daemon.key },
          auth: (done) => done({ since }), reconnectionDelay: 50, reconnectionDelayMax: 200,
        });
        socket.onAny((event, payload) => {
          if (payload.seq && event !== 'message-ack') board.seqs.push((since = payload.seq));
          if (event === 'state') board.states.push(payload);
        });
        socket.on('disconnect', (reason) => board.disconnects.push(reason));
        await until(() => socket.connected, 'connected');

        const accepted = [];
        for (let round = 1; round <= 2; round += 1) {
          let running = true;
          const load = (async () => {
            for (let i = 0; running; i += 1) {
              const text = daemon.body(`round ${round}`);
              try {
                const answer = await daemon.request('POST', `/api/v1/devices/${device}/messages/send`, { body: { to: `1555010012${i % 5}`, text } });
                if (answer.status === 201) accepted.push(text);
                else await sleep(5);
              } catch {
                await sleep(5);
              }
            }
          })();
          await sleep(400);
          await daemon[stop]();
          running = false;
          await load;
          await until(() => board.disconnects.length >= round, 'the socket noticed');
          await daemon.start();
          await until(() => socket.connected, `back by itself; its disconnects: ${board.disconnects}`, 4_000);
          await daemon.inState(device, 'ready');
        }
        assert.ok(accepted.length > 10, `${accepted.length} accepted`);
        await until(async () => {
          const { sent } = await daemon.network(device);
          const bodies = new Set(sent.map(({ body }) => body));
          return accepted.every((text) => bodies.has(text));
        }, 'all that was accepted is sent', 15_000);
        const { sent } = await daemon.network(device);
        assert.deepEqual(sent.filter(({ shown }) => shown !== 1), [], 'each is shown once');
        let end;
        await until(async () => {
          const before = end;
          end = (await daemon.events(device)).at(-1).seq;
          await sleep(200);
          return end === before;
        }, 'the log is at rest', 15_000);
        await until(() => since === end, `seq ${end}, not ${since}`);
        assert.deepEqual(board.seqs, Array.from({ length: end }, (_, index) => index + 1));
        assert.equal(board.states.at(-1).state, 'ready');
      } finally {
        socket?.disconnect();
        await daemon.stop();
      }
    });
  }
});

describe('a client that does not read', () => {
  let daemon, device;
  before(async () => {
    daemon = await Daemon.start({ ...QUIET, WHARF__SOCKET__STALL_TIMEOUT_MS: '1500' });
    device = await daemon.linked();
    await traffic(daemon, device, 1_000, { size: 4_000 });
  });
  after(() => daemon.stop());

  /** A raw client that stops reading at once; `packets` holds what it reads after `resume()`. */
  async function stalled(since) {
    const socket = new WebSocket(`${daemon.url.replace('http', 'ws')}/ws/?EIO=4&transport=websocket&apiKey=${daemon.key}`);
    const client = { socket, packets: [], closed: false };
    socket.on('message', (data) => {
      const text = data.toString();
      if (text === '2') socket.send('3');
      else client.packets.push(text);
      if (text.startsWith('41')) client.closed = true;
    });
    socket.on('close', () => (client.closed = true));
    socket.on('error', () => (client.closed = true));
    await until(() => client.packets.length, 'open');
    socket.send(`40/device/${device},${JSON.stringify(since === undefined ? {} : { since })}`);
    socket._socket.pause();
    return client;
  }

  test('uses bounded memory and resumes without loss', async () => {
    const healthy = await Dashboard.open(daemon, device);
    const before = daemon.resident();
    // 4 MB of log for each of twenty clients would be 80 MB in memory.
    const clients = await Promise.all(Array.from({ length: 20 }, (_, index) => stalled(index % 2 ? 0 : undefined)));
    await traffic(daemon, device, 600, { size: 4_000 });
    await until(() => healthy.named('message').length === 600, 'the healthy one has all', 10_000);
    const grown = daemon.resident() - before;
    assert.ok(grown < 48, `20 stalled clients cost ${grown.toFixed(1)} MiB`);
    await sleep(2_500);
    healthy.check();
    assert.deepEqual(healthy.disconnects, []);

    // When they read again, their events have no gap, and each is either disconnected or complete.
    const end = (await daemon.events(device)).at(-1).seq;
    const seqs = (client) => client.packets.flatMap((packet) => {
      const found = /^42[^[]*(\[.*)$/s.exec(packet);
      const [name, payload] = found ? JSON.parse(found[1]) : [];
      return payload?.seq && name !== 'message-ack' ? [payload.seq] : [];
    });
    for (const { socket } of clients) socket._socket.resume();
    await until(() => clients.every((client) => client.closed || seqs(client).at(-1) === end), 'cut, or caught up', 10_000);
    for (const [index, client] of clients.entries()) {
      const got = seqs(client);
      const start = index % 2 ? 1 : got[0];
      assert.deepEqual(got, got.map((_, place) => start + place), `no gap for stalled client ${index}`);
    }
    const cut = clients.find((client, index) => index % 2 && client.closed) ?? clients[1];
    const since = seqs(cut).at(-1) ?? 0;
    const again = await Dashboard.open(daemon, device, { since });
    await until(() => again.lastSeq === end, `seq ${end} after ${since}`, 10_000);
    again.close();
    healthy.close();
    for (const { socket } of clients) socket.terminate();
  });

  test('a disconnected client reconnects and has everything', async () => {
    // More than fits into the kernel buffers of both sides.
    await traffic(daemon, device, 1_000, { size: 4_000 });
    let since = 0;
    const seqs = [];
    const ends = [];
    const socket = io(`${daemon.url}/device/${device}`, {
      path: PATH, transports: ['websocket'], forceNew: true, query: { apiKey: daemon.key },
      auth: (done) => done({ since }), reconnectionDelay: 50, reconnectionDelayMax: 200,
    });
    socket.onAny((event, payload) => {
      if (payload.seq && event !== 'message-ack') seqs.push((since = payload.seq));
    });
    socket.on('disconnect', (reason) => ends.push(reason));
    await until(() => socket.connected, 'connected');
    const underneath = socket.io.engine.transport.ws._socket;
    underneath.pause();
    await sleep(6_000);
    underneath.resume();
    const end = (await daemon.events(device)).at(-1).seq;
    await until(() => since === end, `seq ${end}, not ${since}; it ended by: ${ends}`, 8_000);
    assert.deepEqual(seqs, Array.from({ length: end }, (_, index) => index + 1));
    socket.disconnect();
  });
});
