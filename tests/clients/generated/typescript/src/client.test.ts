// A TypeScript client generated from docs/openapi.json: its types suffice for integrations and match the daemon's
// answers.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import createClient, { type Client } from 'openapi-fetch';
import { Daemon, until } from '../../../js/daemon.mjs';
import type { components, operations, paths } from './generated/api.js';

type Schemas = components['schemas'];
type Device = Schemas['Device'];

let daemon: Daemon;
let device: string;
let client: Client<paths>;
before(async () => {
  daemon = await Daemon.start();
  device = await daemon.linked();
  client = createClient<paths>({ baseUrl: daemon.url, headers: { 'X-API-KEY': daemon.key } });
});
after(() => daemon.stop());

test('devices are listed with typed states', async () => {
  const { data, error } = await client.GET('/api/v1/devices');
  assert.equal(error, undefined);
  const found: Device | undefined = data?.data.find(({ id }) => id === device);
  assert.ok(found);
  const status: 'ready' | 'qr' | 'connecting' | 'disconnected' | 'error' = found.status;
  assert.deepEqual([status, found.state, typeof found.stats.messagesSent], ['ready', 'ready', 'number']);
});

test('a device is created with settings, changed and deleted', async () => {
  const body = { name: 'Shop', settings: { simulator: { ackServerMs: 20 }, color: 'red' } };
  const created = await client.POST('/api/v1/devices', { body });
  const id = created.data?.data.id;
  assert.ok(id);
  const path = { path: { id } };
  const changed = await client.PATCH('/api/v1/devices/{id}', { params: path, body: { settings: { color: null } } });
  assert.equal(changed.data?.data.settings['color'], undefined);
  const query = { keepMessages: true };
  const deleted = await client.DELETE('/api/v1/devices/{id}', { params: { ...path, query } });
  assert.equal(deleted.data?.data.deleted, true);
});

test('a message is sent and read back', async () => {
  const text = daemon.body();
  const params = { path: { id: device }, header: { 'Idempotency-Key': 'generated-1' } };
  const body: Schemas['SendMessage'] = { to: '15550100001', text, priority: 'high' };
  const sent = await client.POST('/api/v1/devices/{id}/messages/send', { params, body });
  assert.equal(sent.response.status, 201);
  const mid: string | undefined = sent.data?.data.id;
  assert.ok(mid);
  const message = await until(async () => {
    const { data } = await client.GET('/api/v1/devices/{id}/messages/{mid}', { params: { path: { id: device, mid } } });
    return data?.data.status === 'read' ? data.data : undefined;
  }, 'the message is read');
  assert.deepEqual([message?.body, message?.ack, message?.type], [text, 3, 'chat']);
});

test('a list has its pagination', async () => {
  const params = { path: { id: device }, query: { filter: 'private', limit: 1 } };
  const { data } = await client.GET('/api/v1/devices/{id}/chats', { params });
  const page: Schemas['Offsets'] | undefined = data?.pagination;
  const chats: Schemas['Chat'][] | undefined = data?.data;
  assert.deepEqual([page?.limit, chats?.length], [1, page?.returned]);
});

test('an error names the invalid field', async () => {
  const params = { path: { id: device }, query: { limit: 1_000 } };
  const { data, error, response } = await client.GET('/api/v1/devices/{id}/chats', { params });
  assert.equal(data, undefined);
  const refusal: Schemas['Error'] | undefined = error;
  assert.deepEqual([response.status, refusal?.code, refusal?.details?.[0]?.field], [400, 'invalid_field', 'limit']);
  const nowhere = await client.GET('/api/v1/devices/{id}', { params: { path: { id: 'nowhere' } } });
  assert.deepEqual([nowhere.response.status, nowhere.error?.code], [404, 'device_not_found']);
});

test('an image is returned as bytes', async () => {
  const created = await client.POST('/api/v1/devices', { body: { name: 'To be scanned' } });
  const id = created.data?.data.id ?? '';
  const image = await until(async () => {
    const { data } = await client.GET('/api/v1/devices/{id}/qr.png', { params: { path: { id } }, parseAs: 'arrayBuffer' });
    return data;
  }, 'a code');
  assert.deepEqual([...new Uint8Array(image as ArrayBuffer).slice(1, 4)], [...Buffer.from('PNG')]);
});

test('the compiler rejects type errors', () => {
  const wrong = () => {
    // @ts-expect-error a text is text
    void client.POST('/api/v1/devices/{id}/messages/send', { params: { path: { id: device } }, body: { to: '1', text: 5 } });
    // @ts-expect-error the device is missing
    void client.GET('/api/v1/devices/{id}', {});
    // @ts-expect-error there is no such path
    void client.GET('/api/v1/nothing');
    // @ts-expect-error there is no such priority
    const priority: Schemas['Priority'] = 'urgent';
    // @ts-expect-error a refusal is no device
    const refused: Device = {} as operations['getDevice']['responses'][404]['content']['application/json'];
    return [priority, refused];
  };
  assert.equal(typeof wrong, 'function');
});
