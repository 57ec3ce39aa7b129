/** Svelte's compiler: runes everywhere, so that state is always spelled out. */
export default { compilerOptions: { runes: true } };
