// `standalone`: a server with just the files it needs, which is what runs in production.
export default { output: 'standalone', outputFileTracingRoot: import.meta.dirname };
