const url = 'made:up';

export const resolve = async (specifier, context, next) =>
  specifier === url ? { url, shortCircuit: true } : next(specifier, context);

export const load = async (wanted, context, next) =>
  wanted === url
    ? { format: 'module', source: `export default 'there is no such file';`, shortCircuit: true }
    : next(wanted, context);
