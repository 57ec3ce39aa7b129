/** What a keyboard means while somebody writes. */

/** Whether a key belongs to an input method. Safari ends the composition before it tells of the key that ended it; only 229 says so. */
export function composes(event: Pick<KeyboardEvent, 'isComposing' | 'keyCode'>): boolean {
  return event.isComposing || event.keyCode === 229;
}

const system = typeof navigator === 'undefined' ? '' : navigator.platform;
export const onMac = /mac|iphone|ipad/i.test(system);
