/** Keeps the end of a growing text in sight, unless its reader has scrolled away from it. */

/** As near to the end as this counts as being there. */
const NEAR_PX = 48;

export interface Follow {
  readonly atEnd: boolean;
  attach: (scroller: HTMLElement) => () => void;
  toEnd: () => void;
  release: () => void;
}

export function follow(): Follow {
  let atEnd = $state(true);
  let scroller: HTMLElement | undefined;
  let last = 0;

  const pin = (): void => {
    if (atEnd && scroller) scroller.scrollTop = scroller.scrollHeight;
  };

  /** Only moving up lets go: growing text moves the end away by itself. */
  function scrolled(): void {
    if (!scroller) return;
    const { scrollTop, scrollHeight, clientHeight } = scroller;
    if (scrollHeight - scrollTop - clientHeight < NEAR_PX) atEnd = true;
    else if (scrollTop < last - 1) atEnd = false;
    last = scrollTop;
  }

  function attach(element: HTMLElement): () => void {
    scroller = element;
    const sizes = new ResizeObserver(pin);
    sizes.observe(element);
    for (const child of element.children) sizes.observe(child);
    element.addEventListener('scroll', scrolled, { passive: true });
    return () => sizes.disconnect();
  }

  return {
    get atEnd() {
      return atEnd;
    },
    attach,
    toEnd: () => {
      atEnd = true;
      requestAnimationFrame(pin);
    },
    release: () => (atEnd = false),
  };
}
