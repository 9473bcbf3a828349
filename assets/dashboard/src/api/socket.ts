import { type Socket, io } from "socket.io-client";
import { basePath } from "../lib/base";
import { session } from "./session";

/** An event of a device, as a socket or `GET …/events` gives it. `seq` is absent for ephemeral events. */
export interface LiveEvent {
  type: string;
  seq?: number;
  deviceId: string;
  timestamp: number;
  payload: Record<string, unknown>;
}

interface Handlers {
  onEvent: (event: LiveEvent) => void;
  onConnection: (isConnected: boolean) => void;
}

export interface Connection {
  close: () => void;
  emit: (event: string, payload: unknown) => void;
}

const MAX_BACKOFF_MS = 5000;

/** Opens a namespace with the session's cookie; after a cut it resumes from `since()`. */
export function connect(namespace: string, handlers: Handlers, since: () => number | undefined = () => undefined): Connection {
  const socket: Socket = io(`${location.origin}${namespace}`, {
    path: `${basePath}${session.value?.server.socketPath ?? "/ws"}`,
    // A polling GET has no Origin on plain http, and the cookie then does not count.
    transports: ["websocket"],
    forceNew: true,
    reconnectionDelayMax: MAX_BACKOFF_MS,
    auth: (send) => {
      const at = since();
      send(at === undefined ? {} : { since: at });
    },
  });
  // A refused handshake ends the library's attempts; the session may be renewed meanwhile.
  let retry: ReturnType<typeof setTimeout> | undefined;
  const again = () => {
    clearTimeout(retry);
    if (!socket.active) retry = setTimeout(() => socket.connect(), MAX_BACKOFF_MS);
  };
  socket.on("connect", () => handlers.onConnection(true));
  socket.on("disconnect", () => {
    handlers.onConnection(false);
    again();
  });
  socket.on("connect_error", () => {
    handlers.onConnection(false);
    again();
  });
  socket.onAny((type: string, payload: unknown) => {
    const event = liveEvent(type, payload);
    if (event) handlers.onEvent(event);
  });
  return {
    close: () => {
      clearTimeout(retry);
      socket.removeAllListeners();
      socket.disconnect();
    },
    emit: (event, payload) => {
      if (socket.connected) socket.emit(event, payload, () => undefined);
    },
  };
}

/** A well-formed event, else undefined. */
export function liveEvent(type: unknown, payload: unknown): LiveEvent | undefined {
  if (typeof type !== "string" || typeof payload !== "object" || payload === null || Array.isArray(payload)) return undefined;
  const fields = payload as Record<string, unknown>;
  return {
    type,
    seq: typeof fields.seq === "number" ? fields.seq : undefined,
    deviceId: typeof fields.deviceId === "string" ? fields.deviceId : "",
    timestamp: typeof fields.timestamp === "number" ? fields.timestamp : 0,
    payload: fields,
  };
}
