// A React component in a document of jsdom, used as a person uses it: reads the screen, types, clicks.
import './jsdom.mjs';
import { createElement } from 'react';
import { createRoot } from 'react-dom/client';
import { until } from '../daemon.mjs';
import { WAIT_MS } from './chat_daemon.mjs';

const setValue = Object.getOwnPropertyDescriptor(window.HTMLInputElement.prototype, 'value').set;

export class Screen {
  #root;
  #component;
  #props;

  constructor(component, props) {
    this.element = document.body.appendChild(document.createElement('div'));
    this.#component = component;
    this.#props = props;
    this.#root = createRoot(this.element);
    this.set({});
  }

  /** Renders it with other properties. */
  set(props) {
    this.#props = { ...this.#props, ...props };
    this.#root.render(createElement(this.#component, this.#props));
  }

  find(selector) {
    return this.element.querySelector(selector);
  }

  all(selector) {
    return [...this.element.querySelectorAll(selector)];
  }

  text(selector) {
    return this.find(selector)?.textContent ?? '';
  }

  /** The texts of the messages, in their order on the screen. */
  messages() {
    return this.all('[data-message] [data-content]').map(({ textContent }) => textContent);
  }

  /** The element of the first message with this text. */
  message(content) {
    return this.all('[data-message]').find((item) => item.querySelector('[data-content]').textContent === content);
  }

  until(check, what, ms = WAIT_MS) {
    return until(() => check(this), what, ms);
  }

  /** Types a text into the field of new messages; React gets one event. */
  type(text) {
    const input = this.find('form input');
    setValue.call(input, text);
    input.dispatchEvent(new window.Event('input', { bubbles: true }));
  }

  /** Writes and sends. The state of the field is rendered before the button is pressed. */
  async send(text) {
    await this.until(() => this.find('form input'), 'the field of new messages');
    this.type(text);
    await this.until(() => this.find('form input').value === text && !this.find('form button').disabled, 'the text is in the field');
    this.find('form').dispatchEvent(new window.Event('submit', { bubbles: true, cancelable: true }));
  }

  click(element) {
    element.dispatchEvent(new window.MouseEvent('click', { bubbles: true, cancelable: true }));
  }

  /** Looks at the window: the field of new messages gets the focus. */
  focus() {
    this.find('form input').dispatchEvent(new window.FocusEvent('focusin', { bubbles: true }));
  }

  close() {
    this.#root.unmount();
    this.element.remove();
  }
}
