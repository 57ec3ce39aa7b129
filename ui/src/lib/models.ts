/** The models as a picker shows them: found by words, grouped by provider, described in short. */
import type * as icons from '../icons.ts';
import { strings } from '../strings.ts';
import { perMillion, short } from './format.ts';
import type { Model } from './types.ts';

export interface Row {
  id: string;
  label: string;
  model: Model | null;
  /** What an alias or mode stands for. */
  targets: string[];
}

export interface RowGroup {
  name: string;
  rows: Row[];
}

interface Mode {
  id: string;
  name: string;
  model: string | null;
}

/** Models whose name holds every word of the query. */
export function matching(models: Model[], query: string): Model[] {
  const words = query.toLowerCase().split(/\s+/);
  const text = (model: Model): string => `${model.id} ${model.llmproxy?.provider ?? ''}`.toLowerCase();
  return models.filter((model) => words.every((word) => text(model).includes(word)));
}

const isAlias = (model: Model): boolean => model.llmproxy?.kind === 'alias';

function row(model: Model): Row {
  const provider = model.llmproxy?.provider;
  const label = provider && model.id.startsWith(`${provider}/`) ? model.id.slice(provider.length + 1) : model.id;
  return { id: model.id, label, model, targets: isAlias(model) ? (model.llmproxy?.targets ?? []) : [] };
}

/** Those of the names that are still there, in the order of the names. */
function named(models: Model[], names: string[]): Row[] {
  return names.flatMap((name) => models.find(({ id }) => id === name) ?? []).map((model) => ({ ...row(model), label: model.id }));
}

/** favourites, recent: shown first, as long as nothing is looked for. */
export function grouped(models: Model[], modes: Mode[], favourites: string[] = [], recent: string[] = []): RowGroup[] {
  const ofProvider = new Map<string, Model[]>();
  for (const model of models.filter((one) => !isAlias(one))) {
    const name = model.llmproxy?.provider ?? '';
    const those = ofProvider.get(name);
    if (those) those.push(model);
    else ofProvider.set(name, [model]);
  }
  const providers = [...ofProvider.keys()];
  const groups = [
    { name: strings.models.favourites, rows: named(models, favourites) },
    { name: strings.models.recent, rows: named(models, recent.filter((name) => !favourites.includes(name))) },
    { name: strings.models.modes, rows: modes.map(({ id, name, model }) => ({ id, label: name, model: null, targets: model ? [model] : [] })) },
    { name: strings.models.aliases, rows: models.filter(isAlias).map(row) },
    ...providers.map((name) => ({ name: name || strings.models.choose, rows: (ofProvider.get(name) ?? []).map(row) })),
  ];
  return groups.filter(({ rows }) => rows.length > 0);
}

/** One line: what it stands for, its context, its price. */
export function facts({ model, targets }: Row): string {
  const about = model?.llmproxy;
  const { prompt, completion } = about?.pricing ?? {};
  const priced = prompt != null && completion != null;
  const free = priced && prompt === 0 && completion === 0;
  return [
    targets.length ? strings.models.stands(targets.join(', ')) : '',
    about?.context_length ? strings.models.context(short(about.context_length)) : '',
    free ? strings.models.free : priced ? strings.models.price(perMillion(prompt), perMillion(completion)) : '',
  ].filter(Boolean).join(' · ');
}

export function abilities({ model }: Row): { icon: keyof typeof icons; label: string }[] {
  const about = model?.llmproxy;
  const { vision, audio, files, tools, reasoning } = strings.models;
  const all: [boolean | null | undefined, keyof typeof icons, string][] = [
    [about?.input?.includes('image'), 'eye', vision],
    [about?.input?.includes('audio'), 'sound', audio],
    [about?.input?.includes('file'), 'file', files],
    [about?.tools, 'wrench', tools],
    [about?.reasoning, 'brain', reasoning],
  ];
  return all.filter(([can]) => can).map(([, icon, label]) => ({ icon, label }));
}

/** The first `most` rows of the groups, each with its place among all of them. */
export function windowed(groups: RowGroup[], most: number): { name: string; rows: { row: Row; index: number }[] }[] {
  let from = 0;
  return groups.flatMap(({ name, rows }) => {
    const start = from;
    from += rows.length;
    const shown = rows.slice(0, Math.max(0, most - start)).map((row, index) => ({ row, index: start + index }));
    return shown.length ? [{ name, rows: shown }] : [];
  });
}
