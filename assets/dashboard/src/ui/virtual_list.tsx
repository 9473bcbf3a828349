import type { ComponentChildren, RefObject } from "preact";
import { createElement } from "preact";
import type { HTMLAttributes } from "preact";
import { VList, type VListHandle } from "virtua";

export type { VListHandle };

interface Props extends Omit<HTMLAttributes<HTMLDivElement>, "onScroll" | "ref"> {
  handle: RefObject<VListHandle | null>;
  itemSize?: number;
  shift?: boolean;
  onScroll?: (offset: number) => void;
  children: ComponentChildren;
}

/** The virtual list of the library, whose types are those of React. */
export function VirtualList({ handle, children, ...rest }: Props) {
  return createElement(VList as never, { ref: handle, ...rest } as never, children);
}
