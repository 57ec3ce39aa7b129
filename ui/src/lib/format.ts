/** Numbers as people read them. */

const grouped = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });

export const count = (value: number): string => grouped.format(value);
export const short = (value: number): string => compact.format(value);

/** Milliseconds: 1.4 ms, 312 ms, 2.2 s, 1 min 5 s. */
export function duration(ms: number): string {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}

/** US dollars with as many digits as tell something. */
export function money(dollars: number): string {
  if (dollars === 0) return '$0';
  return dollars < 0.01 ? `$${dollars.toPrecision(2)}` : `$${dollars.toFixed(dollars < 1 ? 3 : 2)}`;
}

/** A price per token, as the price of a million: $1.25. */
export function perMillion(perToken: number): string {
  const price = perToken * 1e6;
  return price === 0 ? 'free' : `$${Number(price.toPrecision(3))}`;
}

export function percent(share: number): string {
  return `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;
}

export function clock(seconds: number): string {
  return new Date(seconds * 1000).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
}

export function day(seconds: number): string {
  return new Date(seconds * 1000).toLocaleDateString([], { weekday: 'short', day: 'numeric' });
}

export function utcDay(seconds: number): string {
  return new Date(seconds * 1000).toLocaleDateString([], { month: 'short', day: 'numeric', timeZone: 'UTC' });
}

export function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1024 ** 2 ? `${Math.round(bytes / 1024)} KB` : `${(bytes / 1024 ** 2).toFixed(1)} MB`;
}
