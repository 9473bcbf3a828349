// State changes, faults and deletion of devices with connected dashboards, and rapid chat changes.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Daemon, sleep, until } from '../daemon.mjs';
import { Dashboard, refusal } from '../dashboard.mjs';

const FRIEND = '15550100001';

let daemon;
before(async () => (daemon = await Daemon.start({ WHARF__SUPERVISOR__BACKOFF_INITIAL_MS: '100' })));
after(() => daemon.stop());

describe('states', () => {
  // covers: event state
  // covers: event disconnected
  // covers: event ready
  // covers: state reconnecting
  test('a lost link reconnects', async () => {
    const device = await daemon.linked();
    const board = await Dashboard.open(daemon, device);
    await daemon.simulate(device, 'fault', { kind: 'drop_link', durationMs: 300 });
    const lost = await board.next('state', ({ state }) => state === 'reconnecting');
    assert.equal(lost.status, 'CONNECTING');
    assert.equal(typeof lost.reason, 'string');
    const gone = await board.next('disconnected');
    assert.match(gone.reason, /^[a-z_]+$/);
    const back = await board.next('state', ({ state, seq }) => state === 'ready' && seq > lost.seq, 8_000);
    assert.equal(back.status, 'CONNECTED');
    await board.next('ready', ({ seq }) => seq > lost.seq);
    board.close();
  });

  // covers: POST /devices/{id}/stop
  // covers: POST /devices/{id}/start
  // covers: state stopped
  test('stop and start', async () => {
    const device = await daemon.linked();
    const board = await Dashboard.open(daemon, device);
    await daemon.call('POST', `/devices/${device}/stop`);
    const stopped = await board.next('state', ({ state }) => state === 'stopped');
    assert.equal(stopped.status, 'DISCONNECTED');
    await board.next('disconnected');
    const late = await Dashboard.open(daemon, device);
    assert.deepEqual([late.all[0].payload.state, late.all[0].payload.status], ['stopped', 'DISCONNECTED']);
    late.close();
    await daemon.call('POST', `/devices/${device}/start`);
    await board.next('state', ({ state, seq }) => state === 'ready' && seq > stopped.seq);
    board.close();
  });

  // covers: state logged_out
  test('logout on the phone', async () => {
    const device = await daemon.linked();
    const board = await Dashboard.open(daemon, device);
    await daemon.simulate(device, 'fault', { kind: 'log_out' });
    const out = await board.next('state', ({ state }) => state === 'logged_out');
    assert.deepEqual([out.status, out.reason], ['DISCONNECTED', 'logged_out_on_phone']);
    await daemon.call('POST', `/devices/${device}/start`);
    await board.next('qr');
    board.close();
  });

  // covers: state failed
  test('a ban emits an error', async () => {
    const device = await daemon.linked();
    const board = await Dashboard.open(daemon, device);
    await daemon.simulate(device, 'fault', { kind: 'ban' });
    const failed = await board.next('state', ({ state }) => state === 'failed');
    assert.equal(failed.status, 'ERROR');
    assert.match(failed.reason, /banned?/);
    board.close();
  });

  test('a panic does not affect other devices', async () => {
    // The log contains the panic, so this test has its own daemon.
    const own = await Daemon.start({ WHARF__SUPERVISOR__BACKOFF_INITIAL_MS: '100' });
    own.checkLog = () => {};
    try {
      const [device, other] = [await own.linked(), await own.linked()];
      const board = await Dashboard.open(own, device);
      const beside = await Dashboard.open(own, other);
      await own.simulate(device, 'fault', { kind: 'panic' }).catch(() => {});
      const lost = await board.next('state', ({ state }) => state !== 'ready');
      await board.next('state', ({ state, seq }) => state === 'ready' && seq > lost.seq, 8_000);
      await own.incoming(other, FRIEND, own.body());
      await beside.next('message');
      assert.equal(beside.named('state').length, 1);
      board.close();
      beside.close();
    } finally {
      await own.stop();
    }
  });

  // covers: ack levels never go down
  // covers: ack 3 read
  // covers: ack 4 played
  test('acks never decrease in any order of receipts', async () => {
    const device = await daemon.linked({ ackServerMs: 10, ackDeviceMs: null, ackReadMs: null });
    const board = await Dashboard.open(daemon, device);
    const { messageId } = await board.send(FRIEND, daemon.body());
    await board.next('message:ack', ({ ack }) => ack === 1);
    for (const ack of [3, 2, 1, 3, 4, 2, -1]) await daemon.simulate(device, 'receipt', { messageId, ack });
    await board.next('message:ack', ({ ack }) => ack === 4);
    await board.quiet();
    assert.deepEqual(board.named('message:ack').map(({ ack, ackName }) => [ack, ackName]), [[1, 'server'], [3, 'read'], [4, 'played']]);
    const statuses = board.named('message:status').map(({ status }) => status);
    assert.deepEqual(statuses, ['queued', 'sending', 'sent', 'read', 'played']);
    assert.equal((await daemon.call('GET', `/devices/${device}/messages/${messageId}`)).ack, 4);
    board.close();
  });
});

describe('chat:update', () => {
  // covers: event chat:update
  test('one update per chat and 100 ms, and the last is current', async () => {
    const device = await daemon.linked();
    const board = await Dashboard.open(daemon, device);
    const times = [];
    board.socket.on('chat:update', ({ chat }) => chat.id.startsWith('15550100007') && times.push(Date.now()));
    const begin = Date.now();
    await Promise.all(Array.from({ length: 100 }, () => daemon.incoming(device, '15550100007', daemon.body())));
    const elapsed = Date.now() - begin;
    const last = await board.next('chat:update', ({ chat }) => chat.unreadCount === 100);
    await sleep(250);
    const updates = board.named('chat:update').filter(({ chat }) => chat.id === '15550100007@c.us');
    assert.ok(updates.length <= Math.ceil(elapsed / 100) + 3, `${updates.length} in ${elapsed} ms`);
    assert.equal(updates.at(-1), last);
    const rest = await daemon.call('GET', `/devices/${device}/chats/15550100007@c.us`);
    assert.deepEqual(last.chat, rest, 'the event equals the REST object');
    for (const field of ['id', 'chatId', 'name', 'isGroup', 'lastMessage', 'unreadCount', 'pinned', 'archived', 'muted', 'timestamp']) {
      assert.ok(field in rest, field);
    }
    assert.deepEqual(Object.keys(rest.lastMessage).filter((key) => rest.lastMessage[key] !== null).sort(), ['body', 'fromMe', 'id', 'timestamp', 'type']);
    board.close();
  });
});

describe('deletion', () => {
  for (const transports of [['websocket'], ['polling']]) {
    // covers: event device-deleted
    // covers: DELETE /devices/{id}
    test(`device-deleted is emitted and the namespace removed, ${transports}`, async () => {
      const device = await daemon.linked();
      const board = await Dashboard.open(daemon, device, { transports });
      const bystander = await daemon.linked();
      const beside = await Dashboard.open(daemon, bystander, { transports });
      const shared = transports[0] === 'websocket' ? new Dashboard(daemon, device, { reuse: beside }) : undefined;
      await shared?.connected();
      await daemon.call('DELETE', `/devices/${device}`);
      const deleted = await board.next('device-deleted');
      assert.equal(deleted.deviceId, device);
      await until(() => board.disconnects.length, 'cut');
      assert.equal(board.all.at(-1).name, 'device-deleted', board.summary());
      assert.equal(board.named('device-deleted').length, 1);
      assert.equal(await refusal(daemon, device, { transports }), 'Invalid namespace');
      assert.equal((await daemon.request('GET', `/api/v1/devices/${device}`)).status, 404);
      // The other namespace of the same connection stays open.
      if (shared) await until(() => shared.disconnects.length, 'cut in the shared connection too');
      await daemon.incoming(bystander, FRIEND, daemon.body());
      await beside.next('message');
      beside.close();
      board.check();
    });
  }

  // covers: event resync
  test('a reused device id starts empty', async () => {
    const device = await daemon.linked();
    const first = await Dashboard.open(daemon, device);
    await daemon.incoming(device, FRIEND, daemon.body());
    await first.next('message');
    await daemon.call('DELETE', `/devices/${device}`);
    await until(() => first.disconnects.length, 'cut');
    // The id is refused with 409 until the old data is removed.
    await until(() => daemon.device({}, device).catch((error) => {
      if (!/device_being_deleted/.test(error.message)) throw error;
    }), 'the id is free again');
    // Its seq continues after the old log, so that no dashboard confuses new events with old ones.
    const board = new Dashboard(daemon, device, { since: 0 });
    board.anySeq();
    await board.next('resync', ({ oldestSeq }) => oldestSeq > first.lastSeq);
    await daemon.inState(device, 'qr');
    for (const { seq, type } of await daemon.events(device)) {
      assert.ok(seq > first.lastSeq, `${type}#${seq}`);
      assert.ok(['state', 'qr', 'disconnected', 'notification'].includes(type), type);
    }
    assert.equal(board.named('message').length, 0);
    assert.equal((await daemon.call('GET', `/devices/${device}/chats`)).length, 0);
    board.close();
  });
});

describe('connections', () => {
  test('heartbeats keep an idle connection', async () => {
    const own = await Daemon.start({ WHARF__SOCKET__PING_INTERVAL_MS: '300', WHARF__SOCKET__PING_TIMEOUT_MS: '300' });
    try {
      const device = await own.device();
      const boards = [await Dashboard.open(own, device), await Dashboard.open(own, device, { transports: ['polling'] })];
      await sleep(2_000);
      for (const board of boards) {
        assert.deepEqual(board.disconnects, []);
        board.close();
      }
    } finally {
      await own.stop();
    }
  });

  test('two hundred dashboards receive equal events', async () => {
    const device = await daemon.linked();
    const boards = await Promise.all(Array.from({ length: 200 }, () => Dashboard.open(daemon, device)));
    const body = daemon.body();
    await daemon.incoming(device, FRIEND, body);
    for (const board of boards) await board.next('message', ({ message }) => message.body === body);
    for (const board of boards) board.close();
  });
});
