// A document for React under Node. Import it before react-dom.
import { JSDOM } from 'jsdom';

const { window } = new JSDOM('<!doctype html><body></body>', { url: 'http://127.0.0.1/', pretendToBeVisual: true });

/** jsdom has no layout: everything that is observed is visible, which is reported in a later task as in a browser. */
class VisibleAtOnce {
  #report;
  #observed = new Set();

  constructor(report) {
    this.#report = report;
  }

  observe(target) {
    this.#observed.add(target);
    setImmediate(() => this.#observed.has(target) && this.#report([{ target, isIntersecting: true }], this));
  }

  unobserve(target) {
    this.#observed.delete(target);
  }

  disconnect() {
    this.#observed.clear();
  }
}

Object.assign(globalThis, { window, document: window.document, IntersectionObserver: VisibleAtOnce });
// Node 21 and later have a navigator of their own.
Object.defineProperty(globalThis, 'navigator', { value: window.navigator, configurable: true });
