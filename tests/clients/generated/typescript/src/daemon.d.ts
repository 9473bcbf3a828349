/** The used part of the daemon that the tests in JavaScript run. */
declare module '*/daemon.mjs' {
  export class Daemon {
    static start(env?: Record<string, string>): Promise<Daemon>;
    readonly url: string;
    readonly key: string;
    linked(simulator?: object): Promise<string>;
    body(begin?: string): string;
    secret(text: string): string;
    stop(): Promise<void>;
  }
  export function until<T>(check: () => T | Promise<T>, what: string, ms?: number): Promise<T>;
}
