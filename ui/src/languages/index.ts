/** The languages of the page beside English, each loaded only where it is spoken. */
import { strings, translate, type Translation } from '../strings.ts';

export type Language = 'en' | 'ar' | 'ja';

const LOAD: Record<Exclude<Language, 'en'>, () => Promise<Translation>> = {
  ar: () => import('./ar.ts').then(({ ar }) => ar),
  ja: () => import('./ja.ts').then(({ ja }) => ja),
};

export const RIGHT_TO_LEFT: readonly Language[] = ['ar'];

/** The first of the reader's languages that is known here. */
export function preferred(languages: readonly string[]): Language {
  const known = languages.map((one) => one.split('-')[0] ?? '').find((one) => one === 'en' || one in LOAD);
  return (known ?? 'en') as Language;
}

/** Before anything is shown: words that were said are not said again. A language that cannot be loaded leaves English. */
export async function speak(language: Language): Promise<void> {
  if (language !== 'en') await LOAD[language]().then((translation) => translate(strings, translation), () => undefined);
}
