/** Keeps the end of a growing text in sight, unless its reader has scrolled away from it. */

/** As near to the end as this counts as being there, for whoever scrolls down to it. */
const NEAR_PX = 48;

export interface Follow {
  /** Its reader has left the end, and there is more below. */
  readonly away: boolean;
  attach: (scroller: HTMLElement) => () => void;
  toEnd: () => void;
  release: () => void;
  /** Does what changes the page, and keeps an element where it is in the window. */
  holding: (element: () => Element | null, change: () => void) => void;
}

function follow(): Follow {
  let atEnd = $state(true);
  let below = $state(0);
  let scroller: HTMLElement | undefined;
  let last = { top: 0, height: 0 };

  const pin = (): void => {
    if (!atEnd || !scroller) return;
    scroller.scrollTop = scroller.scrollHeight;
    last = { top: scroller.scrollTop, height: scroller.scrollHeight };
  };

  const measure = (): void => {
    if (scroller) below = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
  };

  function resized(): void {
    pin();
    measure();
  }

  /** Moving up lets go, by however little; growing text moves the end away by itself, and shrinking text moves everything up. */
  function scrolled(): void {
    if (!scroller) return;
    const { scrollTop: top, scrollHeight: height, clientHeight } = scroller;
    if (top < last.top && height >= last.height) atEnd = false;
    else if (top > last.top && height - top - clientHeight < NEAR_PX) atEnd = true;
    last = { top, height };
    below = height - top - clientHeight;
  }

  /** A wheel is heard before anything has moved, so that no growth gets in between. */
  function wheeled({ deltaY }: WheelEvent): void {
    if (deltaY < 0 && scroller && scroller.scrollTop > 0) atEnd = false;
  }

  function attach(element: HTMLElement): () => void {
    scroller = element;
    last = { top: 0, height: 0 };
    const sizes = new ResizeObserver(resized);
    sizes.observe(element);
    for (const child of element.children) sizes.observe(child);
    element.addEventListener('scroll', scrolled, { passive: true });
    element.addEventListener('wheel', wheeled, { passive: true });
    return () => sizes.disconnect();
  }

  return {
    get away() {
      return !atEnd && below > 1;
    },
    attach,
    toEnd: () => {
      atEnd = true;
      requestAnimationFrame(pin);
    },
    release: () => (atEnd = false),
    holding: (element, change) => {
      const before = element()?.getBoundingClientRect().top;
      change();
      const after = element()?.getBoundingClientRect().top;
      if (before === undefined || after === undefined || !scroller) return;
      atEnd = false;
      scroller.scrollTop += after - before;
    },
  };
}

/** The open thread's; only one is open at a time. */
export const scroll = follow();
