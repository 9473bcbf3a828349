// The main flow over each transport: QR code, scan, receive, send, acknowledgements.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Daemon, until } from '../daemon.mjs';
import { Dashboard } from '../dashboard.mjs';

const OWN = '15550100099';
const FRIEND = '15550100001';
const FRIEND_CHAT = `${FRIEND}@c.us`;

let daemon;
before(async () => (daemon = await Daemon.start({ WHARF__LOG__LEVEL: 'trace' })));
after(() => daemon.stop());

const transports = {
  'websocket only': ['websocket'],
  'polling only': ['polling'],
  'polling, upgraded to websocket': ['polling', 'websocket'],
};

for (const [name, list] of Object.entries(transports)) {
  describe(name, () => {
    let device, dashboard, second;
    before(async () => {
      device = await daemon.device();
      dashboard = await Dashboard.open(daemon, device, { transports: list });
      second = await Dashboard.open(daemon, device, { transports: list });
    });
    after(() => {
      dashboard.close();
      second.close();
    });

    // covers: connect by websocket
    // covers: connect by polling
    // covers: connect by polling, upgraded
    test('the connection uses the selected transport', async () => {
      const expected = list[list.length - 1];
      await until(() => dashboard.socket.io.engine.transport.name === expected, `transport ${expected}`);
    });

    // covers: event state
    test('the state on connect is a snapshot', () => {
      const { name: first, payload } = dashboard.all[0];
      assert.equal(first, 'state');
      assert.equal('seq' in payload, false);
      assert.ok(['created', 'connecting', 'qr'].includes(payload.state), payload.state);
      assert.equal(payload.status, payload.state === 'created' ? 'DISCONNECTED' : 'CONNECTING');
      assert.equal(dashboard.named('state').filter((state) => !('seq' in state)).length, 1);
    });

    let code;
    // covers: event qr
    // covers: GET /devices/{id}/qr
    // covers: POST /devices/{id}/restart
    test('a live QR code', async () => {
      await daemon.inState(device, 'qr');
      await daemon.call('POST', `/devices/${device}/restart`);
      // The code after the restart is the current one.
      code = await until(async () => {
        const now = (await daemon.request('GET', `/api/v1/devices/${device}/qr`)).json;
        return now.success && dashboard.named('qr').find((event) => event.qr === now.data.qr);
      }, 'the code of GET …/qr came as an event');
      const keys = ['attempt', 'deviceId', 'expiresAt', 'qr', 'seq', 'timestamp'];
      assert.deepEqual(Object.keys(code).sort(), keys);
      assert.equal(code.attempt, 1);
      assert.equal(typeof code.qr, 'string');
      assert.ok(code.qr.length > 20);
      const valid = code.expiresAt - code.timestamp;
      assert.ok(valid > 55_000 && valid <= 60_500, `the first code is valid for 60 s, not ${valid} ms`);
      const rest = await daemon.call('GET', `/devices/${device}/qr`);
      assert.equal(rest.expiresAt, code.expiresAt);
      assert.equal(rest.attempt, 1);
    });

    // covers: event authenticated
    // covers: event ready
    // covers: state ready
    test('a scan links the device', async () => {
      await daemon.simulate(device, 'scan', { qr: code.qr, phoneNumber: OWN, clientName: 'Shop' });
      const ready = await dashboard.next('ready');
      const [authenticated] = dashboard.named('authenticated');
      assert.deepEqual({ ...authenticated, seq: 0, timestamp: 0 }, { phoneNumber: OWN, clientName: 'Shop', deviceId: device, seq: 0, timestamp: 0 });
      assert.deepEqual({ ...ready, seq: 0, timestamp: 0 }, { phoneNumber: OWN, deviceId: device, seq: 0, timestamp: 0 });
      assert.ok(authenticated.seq < ready.seq);
      await dashboard.next('state', (state) => state.state === 'ready' && state.status === 'CONNECTED' && state.seq);
      const states = dashboard.named('state').filter((state) => state.seq > code.seq);
      for (const state of states) {
        const status = { ready: 'CONNECTED', pairing: 'CONNECTING', qr: 'CONNECTING', connecting: 'CONNECTING' };
        assert.equal(state.status, status[state.state], JSON.stringify(state));
      }
      assert.equal(dashboard.named('ready').length, 1);
      assert.equal(dashboard.named('authenticated').length, 1);
    });

    test('a scan of an old code is refused', async () => {
      const answer = await daemon.request('POST', `/api/v1/simulator/${device}/scan`, { body: { qr: code.qr } });
      assert.equal(answer.status, 422);
      assert.equal(answer.json.success, false);
    });

    // covers: event message
    // covers: GET /devices/{id}/messages/{mid}
    test('an incoming message emits an event', async () => {
      const body = daemon.body('incoming');
      const networkId = `BB${Date.now().toString(16).toUpperCase()}`;
      const sent = Date.now();
      const id = await daemon.incoming(device, FRIEND, body, { networkId });
      assert.equal(id, `false_${FRIEND_CHAT}_${networkId}`);
      const event = await dashboard.next('message', ({ message }) => message.body === body);
      assert.deepEqual(Object.keys(event).sort(), ['deviceId', 'message', 'seq', 'timestamp']);
      const { message } = event;
      const exact = {
        id, chatId: FRIEND_CHAT, from: FRIEND_CHAT, to: `${OWN}@c.us`, fromMe: false, body, type: 'chat',
        hasMedia: false, mentionedIds: [], reactions: [], isForwarded: false, isStarred: false, isEdited: false,
      };
      for (const [field, value] of Object.entries(exact)) assert.deepEqual(message[field], value, field);
      assert.ok(Number.isInteger(message.ack) && message.ack >= -1 && message.ack <= 4, 'ack');
      assert.ok(Math.abs(message.timestamp - sent) < 60_000, 'timestamp in ms');
      assert.equal(typeof message.notifyName, 'string');
      const allowed = new Set([...Object.keys(exact), 'timestamp', 'ack', 'notifyName']);
      for (const [field, value] of Object.entries(message)) {
        assert.ok(allowed.has(field) || value === null, `${field} is for other messages: ${JSON.stringify(value)}`);
      }
      assert.equal('author' in message && message.author !== null, false, 'author is for groups');
      const rest = await daemon.call('GET', `/devices/${device}/messages/${id}`);
      assert.equal(rest.body, body);
      assert.equal((await second.next('message', (other) => other.message.body === body)).seq, event.seq);
    });

    test('a repeated delivery emits one event', async () => {
      const body = daemon.body('twice');
      for (let time = 0; time < 2; time += 1) await daemon.incoming(device, FRIEND, body, { networkId: 'TWICE01' });
      await dashboard.next('message', ({ message }) => message.body === body);
      await dashboard.quiet();
      assert.equal(dashboard.named('message').filter(({ message }) => message.body === body).length, 1);
    });

    test('a message to a group has its author', async () => {
      const body = daemon.body('group');
      const groupId = '120363000000000001@g.us';
      await daemon.incoming(device, FRIEND, body, { groupId, networkId: 'GROUP01' });
      const { message } = await dashboard.next('message', (event) => event.message.body === body);
      assert.equal(message.chatId, groupId);
      assert.equal(message.author, FRIEND_CHAT);
      assert.equal(message.id, `false_${groupId}_GROUP01_${FRIEND_CHAT}`);
    });

    // covers: event message:created
    // covers: event message:status
    // covers: event message:ack
    // covers: event message-ack
    // covers: event message:read
    // covers: ack 1 server
    // covers: ack 2 device
    // covers: ack 3 read
    test('a sent message emits each ack once', async () => {
      const text = daemon.body('outgoing');
      const tempId = `temp-${list.join('-')}`;
      const answer = await dashboard.send(FRIEND, text, { tempId });
      const { messageId } = answer;
      assert.match(messageId, new RegExp(`^true_${FRIEND}@c\\.us_[A-Za-z0-9]+$`));
      assert.equal(answer.tempId, tempId);
      assert.equal(answer.status, 'queued');

      for (const board of [dashboard, second]) {
        const mine = (payload) => payload.messageId === messageId;
        await board.next('message:ack', (ack) => mine(ack) && ack.ack === 3);
        await board.next('message:status', (status) => mine(status) && status.status === 'read');
        await board.quiet();
        const created = board.named('message:created').filter(({ message }) => message.id === messageId);
        assert.equal(created.length, 1);
        assert.equal(created[0].tempId, tempId);
        const { message } = created[0];
        const exact = {
          id: messageId, chatId: FRIEND_CHAT, from: `${OWN}@c.us`, to: FRIEND_CHAT, fromMe: true, body: text,
          type: 'chat', ack: 0, hasMedia: false, isForwarded: false, isStarred: false, isEdited: false,
        };
        for (const [field, value] of Object.entries(exact)) assert.deepEqual(message[field], value, field);

        const statuses = board.named('message:status').filter(mine);
        assert.deepEqual(statuses.map(({ status }) => status), ['queued', 'sending', 'sent', 'delivered', 'read']);
        for (const status of statuses) {
          assert.equal(status.chatId, FRIEND_CHAT);
          assert.equal('error' in status && status.error !== null, false);
        }
        assert.equal(statuses[0].tempId, tempId);
        assert.ok(created[0].seq < statuses[0].seq, 'created before queued');

        const acks = board.named('message:ack').filter(mine);
        assert.deepEqual(acks.map(({ ack, ackName }) => [ack, ackName]), [[1, 'server'], [2, 'device'], [3, 'read']]);
        for (const ack of acks) assert.equal(ack.chatId, FRIEND_CHAT);
        assert.deepEqual(board.named('message-ack').filter(mine), acks, 'the alias has the same entries');

        const reads = board.named('message:read').filter(({ messageIds }) => messageIds.includes(messageId));
        assert.equal(reads.length, 1, 'message:read by the contact');
        assert.equal(reads[0].chatId, FRIEND_CHAT);
        // A message sent by this daemon emits message:created and never message.
        assert.equal(board.named('message').filter((event) => event.message.id === messageId).length, 0);
      }
      const { sent } = await daemon.network(device);
      const there = sent.filter(({ body }) => body === text);
      assert.deepEqual(there.map(({ shown, arrivals, to }) => [shown, arrivals, to]), [[1, 1, FRIEND_CHAT]]);
      const rest = await daemon.call('GET', `/devices/${device}/messages/${messageId}`);
      assert.equal(rest.ack, 3);
    });

    // covers: POST /devices/{id}/messages/send
    // covers: event message:created
    test('a message sent over REST is emitted', async () => {
      const text = daemon.body('rest');
      const sent = await daemon.call('POST', `/devices/${device}/messages/send`, { to: '+1 555 0100-001', text, tempId: 'over-rest' });
      assert.equal(sent.status, 'queued');
      const created = await second.next('message:created', ({ message }) => message.id === sent.id);
      assert.equal(created.tempId, 'over-rest');
      await second.next('message:ack', ({ messageId, ack }) => messageId === sent.id && ack === 3);
    });

    // covers: GET /devices/{id}/events
    test('the log over REST equals the emitted events', async () => {
      await dashboard.quiet();
      const log = await daemon.events(device);
      assert.deepEqual(log.map(({ seq }) => seq), log.map((_, index) => index + 1));
      const emitted = dashboard.all.filter(({ name: event, payload }) => payload.seq && event !== 'message-ack');
      assert.equal(emitted[emitted.length - 1].payload.seq, log.length);
      for (const { payload } of emitted) assert.ok(log[payload.seq - 1].timestamp === payload.timestamp, JSON.stringify(log[payload.seq - 1]));
    });

    test('every event fulfils the rules', () => {
      dashboard.check();
      second.check();
      assert.deepEqual(dashboard.disconnects, []);
    });
  });
}
