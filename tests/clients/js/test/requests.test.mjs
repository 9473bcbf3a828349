// Events that clients emit: every event of the contract, and invalid events.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Daemon, sleep, until } from '../daemon.mjs';
import { Dashboard, assertFailure } from '../dashboard.mjs';

const FRIEND = '15550100001';
const FRIEND_CHAT = `${FRIEND}@c.us`;

let daemon, device, dashboard;
before(async () => {
  daemon = await Daemon.start();
  device = await daemon.linked();
  dashboard = await Dashboard.open(daemon, device);
});
after(async () => {
  dashboard?.close();
  await daemon.stop();
});

const alive = async () => {
  assert.equal((await dashboard.ask('subscribe', { deviceId: device })).success, true);
  assert.deepEqual(dashboard.disconnects, []);
};

describe('subscribe', () => {
  // covers: emit subscribe
  test('answers with the current state', async () => {
    const answer = await dashboard.ask('subscribe', { deviceId: device });
    assert.equal(answer.success, true);
    assert.equal(answer.state, 'ready', JSON.stringify(answer));
    assert.equal(answer.status, 'CONNECTED', JSON.stringify(answer));
    assert.equal(answer.deviceId, device, JSON.stringify(answer));
  });
  test('another device is refused', async () => {
    assertFailure(await dashboard.ask('subscribe', { deviceId: 'another' }));
  });
  test('works without a callback', async () => {
    const before = dashboard.named('error').length;
    dashboard.socket.emit('subscribe', { deviceId: device });
    await alive();
    assert.equal(dashboard.named('error').length, before);
  });
});

describe('message:send', () => {
  // covers: emit message:send
  test('the looser fields: body for text, any spelling of a number, unknown fields', async () => {
    for (const to of [FRIEND, FRIEND_CHAT, `+1 555 0100 001`, `${FRIEND}@s.whatsapp.net`]) {
      const text = daemon.body('loose');
      const answer = await dashboard.ask('message:send', { to, body: text, media: null, location: null, whatever: [1] });
      assert.equal(answer.success, true, JSON.stringify(answer));
      const created = await dashboard.next('message:created', ({ message }) => message.id === answer.messageId);
      assert.equal(created.message.chatId, FRIEND_CHAT);
      assert.equal(created.message.body, text);
    }
  });
  test('text in all scripts arrives unchanged', async () => {
    const text = `${daemon.body('Ünïcödé')} 日本語 🙂👩‍👩‍👧 \u0000 "quotes" \\ \n\t עברית`;
    const { messageId } = await dashboard.send(FRIEND, text);
    const created = await dashboard.next('message:created', ({ message }) => message.id === messageId);
    assert.equal(created.message.body, text);
    await dashboard.next('message:ack', (ack) => ack.messageId === messageId && ack.ack === 1);
    const { sent } = await daemon.network(device);
    assert.ok(sent.some(({ body }) => body === text));
  });
  // covers: ack -1 error
  // covers: event message:status
  test('a failed send has ack -1 and an error', async () => {
    await daemon.simulate(device, 'fault', { kind: 'send_permanent', count: 1 });
    const { messageId } = await dashboard.send('15550100077', daemon.body('fails'));
    const failed = await dashboard.next('message:status', (status) => status.messageId === messageId && status.status === 'failed');
    assert.ok(failed.error, JSON.stringify(failed));
    const ack = await dashboard.next('message:ack', (event) => event.messageId === messageId);
    assert.deepEqual([ack.ack, ack.ackName], [-1, 'error']);
  });
  test('300 in a row, 50 at a time unanswered, keep their order', async () => {
    const bodies = Array.from({ length: 300 }, (_, index) => daemon.body(`ordered ${index}`));
    const recipient = (index) => `1555010010${index % 3}`;
    const answered = [];
    const waiting = new Set();
    for (const [index, text] of bodies.entries()) {
      await until(() => waiting.size < 50, 'answers');
      waiting.add(index);
      dashboard.ask('message:send', { to: recipient(index), text, tempId: `o${index}` }).then((answer) => {
        waiting.delete(index);
        answered.push(answer.success && index);
      });
    }
    await until(() => answered.length === 300, '300 answers', 10_000);
    assert.deepEqual(answered, bodies.map((_, index) => index), 'callbacks in order');
    const mine = () => dashboard.named('message:created').filter(({ message }) => message.body.startsWith('ordered '));
    await until(() => mine().length === 300, '300 × message:created', 10_000);
    assert.deepEqual(mine().map(({ message }) => message.body), bodies);
    assert.deepEqual(mine().map(({ tempId }) => tempId), bodies.map((_, index) => `o${index}`));
    const there = async () => (await daemon.network(device)).sent.filter(({ body }) => body.startsWith('ordered '));
    await until(async () => (await there()).length === 300, 'sent', 20_000);
    const sent = await there();
    for (const chat of [0, 1, 2]) {
      const order = sent.filter(({ to }) => to === `${recipient(chat)}@c.us`).map(({ body }) => body);
      assert.deepEqual(order, bodies.filter((_, index) => index % 3 === chat), 'each chat in order');
    }
  });
  test('300 at once are each accepted in order or refused', async () => {
    const bodies = Array.from({ length: 300 }, (_, index) => daemon.body(`burst ${index}`));
    const answers = await Promise.all(bodies.map((text) => dashboard.ask('message:send', { to: FRIEND, text })));
    for (const answer of answers) if (!answer.success) assertFailure(answer, 'overloaded');
    const accepted = bodies.filter((_, index) => answers[index].success);
    assert.ok(accepted.length >= 64, `${accepted.length} accepted`);
    const mine = () => dashboard.named('message:created').filter(({ message }) => message.body.startsWith('burst '));
    await until(() => mine().length === accepted.length, 'message:created for each', 10_000);
    assert.deepEqual(mine().map(({ message }) => message.body), accepted);
  });

  const wrong = {
    'nothing': [],
    'null': [null],
    'a number': [5],
    'a string': ['text'],
    'true': [true],
    'a list': [[{ to: FRIEND, text: 'x' }]],
    'an empty object': [{}],
    'no text': [{ to: FRIEND }],
    'no recipient': [{ text: 'to nobody' }],
    'a number as recipient': [{ to: 5, text: 'x' }],
    'no phone number': [{ to: 'ada@example', text: 'x' }],
    'an empty text': [{ to: FRIEND, text: '' }],
    'a number as text': [{ to: FRIEND, text: 5 }],
    'an object as text': [{ to: FRIEND, text: { toString: 'x' } }],
    'a too long text': [{ to: FRIEND, text: 'x'.repeat(4097) }],
    'two kinds of content': [{ to: FRIEND, text: 'x', location: { latitude: 1, longitude: 1 } }],
    'a tempId that is no text': [{ to: FRIEND, text: 'x', tempId: {} }],
    'a priority that is none': [{ to: FRIEND, text: 'x', priority: 'urgent' }],
    'sendAt that is no time': [{ to: FRIEND, text: 'x', sendAt: 'tomorrow' }],
    'bytes': [Buffer.from([1, 2, 3])],
    'bytes as text': [{ to: FRIEND, text: Buffer.from('x') }],
    'bytes as recipient': [{ to: Buffer.from(FRIEND), text: 'x' }],
    'several arguments': [1, 2, 3, 4],
  };
  for (const [name, args] of Object.entries(wrong)) {
    test(`${name}: the callback gets the error`, async () => {
      assertFailure(await dashboard.ask('message:send', ...args));
      await alive();
    });
  }
  test('a text of 4096 characters that are four bytes each', async () => {
    await dashboard.send(FRIEND, '🙂'.repeat(4096));
  });
});

describe('message:read', () => {
  // covers: emit message:read
  test('marks read on the network and for all dashboards', async () => {
    const ids = [];
    for (const networkId of ['READ1', 'READ2']) {
      ids.push(await daemon.incoming(device, '15550100055', daemon.body('unread'), { networkId }));
    }
    const chatId = '15550100055@c.us';
    assert.equal((await daemon.call('GET', `/devices/${device}/chats/${chatId}`)).unreadCount, 2);
    await dashboard.next('chat:update', ({ chat }) => chat.id === chatId && chat.unreadCount === 2);
    const answer = await dashboard.ask('message:read', { chatId });
    assert.equal(answer.success, true, JSON.stringify(answer));
    await dashboard.next('chat:update', ({ chat }) => chat.id === chatId && chat.unreadCount === 0);
    assert.equal((await daemon.call('GET', `/devices/${device}/chats/${chatId}`)).unreadCount, 0);
    await until(async () => {
      const text = JSON.stringify((await daemon.network(device)).read);
      return text.includes('READ1') && text.includes('READ2');
    }, 'the read mark at the network');
  });
  test('invalid requests are refused', async () => {
    for (const args of [[], [{}], [{ chatId: 5 }], [{ chatId: FRIEND_CHAT, messageIds: 'all' }], [{ chatId: 'x y' }], [null]]) {
      assertFailure(await dashboard.ask('message:read', ...args));
    }
  });
});

describe('typing and presence', () => {
  // covers: event typing:start
  // covers: event typing:stop
  test('a contact types', async () => {
    for (const kind of ['text', 'audio']) {
      await daemon.simulate(device, 'typing', { from: FRIEND, kind, on: true });
      const start = await dashboard.next('typing:start', (event) => event.kind === kind);
      assert.deepEqual({ ...start, timestamp: 0 }, { deviceId: device, chatId: FRIEND_CHAT, from: FRIEND_CHAT, kind, timestamp: 0 });
      await daemon.simulate(device, 'typing', { from: FRIEND, kind, on: false });
      const stop = await dashboard.next('typing:stop', (event) => event.kind === kind);
      assert.deepEqual([stop.chatId, stop.from], [FRIEND_CHAT, FRIEND_CHAT]);
    }
  });
  // covers: emit typing:start
  // covers: emit typing:stop
  test('own typing stops after 25 s', async () => {
    const shown = async () => (await daemon.network(device)).typing.filter((entry) => JSON.stringify(entry).includes(FRIEND));
    const begin = Date.now();
    assert.equal((await dashboard.ask('typing:start', { chatId: FRIEND_CHAT, kind: 'audio' })).success, true);
    await until(async () => (await shown()).length === 1, 'the network sees it begin');
    assert.equal((await dashboard.ask('typing:stop', { chatId: FRIEND_CHAT })).success, true);
    await until(async () => (await shown()).length === 2, 'the network sees it end');
    assert.equal((await dashboard.ask('typing:start', { chatId: FRIEND_CHAT })).success, true);
    await until(async () => (await shown()).length === 3, 'the network sees it begin again');
    assert.ok(Date.now() - begin < 5_000);
    await until(async () => (await shown()).length === 4, 'it ends by itself', 28_000);
    assert.ok(Date.now() - begin > 24_000, 'not before 25 s');
  });
  test('invalid requests are refused', async () => {
    for (const name of ['typing:start', 'typing:stop']) {
      for (const args of [[], [{}], [{ chatId: 7 }], ['x']]) assertFailure(await dashboard.ask(name, ...args));
    }
    assertFailure(await dashboard.ask('typing:start', { chatId: FRIEND_CHAT, kind: 'video' }));
  });
  // covers: emit presence:subscribe
  // covers: event presence
  test('presence of a contact', async () => {
    const answer = await dashboard.ask('presence:subscribe', { contactId: FRIEND_CHAT });
    assert.equal(answer.success, true, JSON.stringify(answer));
    await daemon.simulate(device, 'presence', { from: FRIEND, online: true });
    const presence = await dashboard.next('presence');
    assert.deepEqual([presence.contactId, presence.online], [FRIEND_CHAT, true]);
    assertFailure(await dashboard.ask('presence:subscribe', { contactId: [] }));
  });
});

describe('invalid events', () => {
  // covers: emit an unknown event
  test('an unknown event, with a callback', async () => {
    for (const name of ['no:such', '', 'messages:send', 'state', '__proto__', 'x'.repeat(1_000)]) {
      assertFailure(await dashboard.ask(name, { any: 'thing' }));
    }
    await alive();
  });
  // covers: event error
  test('an unknown event, without a callback', async () => {
    const from = dashboard.all.length;
    dashboard.socket.emit('no:such:event', { any: 'thing' });
    await until(() => dashboard.all.slice(from).some(({ name }) => name === 'error'), 'error');
    const { payload } = dashboard.all.slice(from).find(({ name }) => name === 'error');
    assert.equal(typeof payload.message, 'string');
    assert.match(payload.code, /^[a-z0-9_]+$/);
  });
  test('an unknown event with bytes', async () => {
    assertFailure(await dashboard.ask('no:such', Buffer.alloc(100), { more: Buffer.alloc(3) }));
    await alive();
  });
  // covers: event error
  test('a failure without a callback emits error to this socket only', async () => {
    const other = await Dashboard.open(daemon, device);
    const from = dashboard.all.length;
    dashboard.socket.emit('message:send', { to: 'nobody at all', text: 'x' });
    await until(() => dashboard.all.slice(from).some(({ name }) => name === 'error'), 'error');
    await alive();
    assert.equal(dashboard.all.slice(from).filter(({ name }) => name === 'error').length, 1);
    assert.equal(other.named('error').length, 0);
    other.close();
  });
  test('a success without a callback is silent', async () => {
    const from = dashboard.all.length;
    dashboard.socket.emit('message:send', { to: FRIEND, text: daemon.body('silent') });
    await alive();
    assert.equal(dashboard.all.slice(from).filter(({ name }) => name === 'error').length, 0);
  });
  test('notifications:mute answers', async () => {
    for (const name of ['notifications:mute', 'notifications:unmute']) {
      const answer = await dashboard.ask(name, {});
      assert.equal(typeof answer.success, 'boolean');
      if (!answer.success) assertFailure(answer, 'not_implemented');
    }
  });
  test('a flood of invalid events does not delay other clients', async () => {
    const other = await Dashboard.open(daemon, device);
    const flood = Promise.all(Array.from({ length: 2_000 }, () => dashboard.ask('no:such', {})));
    await sleep(5);
    const begin = Date.now();
    assert.equal((await other.ask('subscribe', { deviceId: device })).success, true);
    assert.ok(Date.now() - begin < 2_000);
    for (const answer of await flood) assert.equal(answer.success, false);
    other.close();
  });
  test('an unlinked device refuses to send', async () => {
    const fresh = await daemon.device();
    const board = await Dashboard.open(daemon, fresh);
    const answer = await board.ask('message:send', { to: FRIEND, text: daemon.body('early') });
    if (!answer.success) assertFailure(answer);
    board.close();
  });
  test('every event fulfils the rules', () => dashboard.check());
});
