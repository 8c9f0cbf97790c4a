import type { BuildOptions, Plugin } from 'esbuild';

/**
 * Loading client-node does nothing but define what it exports: all the APIs of Kubernetes among it, of which we use
 * none. Its package does not say so.
 */
const withoutUnusedApis: Plugin = {
  name: 'client-node without what nobody uses',
  setup(build) {
    build.onResolve({ filter: /^@kubernetes\/client-node$|^\.{1,2}\// }, async ({ path, pluginData, ...origin }) => {
      const isClient = [path, origin.importer].some((name) => name.includes('@kubernetes/client-node'));
      if (!isClient || pluginData === withoutUnusedApis) return undefined;
      const found = await build.resolve(path, { ...origin, pluginData: withoutUnusedApis });
      return { ...found, sideEffects: false };
    });
  },
};

/**
 * How the program is bundled, wherever to. It is split so that a command loads only what it needs: `--version` and
 * `render` start in a fraction of the time that loading single modules takes, and the bundle needs no `node_modules`.
 */
export const bundling = {
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  // The agent keeps its source in memory for as long as it runs. Names stay for stack traces: to shorten them and
  // have esbuild's `keepNames` restore them at run time costs a call for each closure that is made.
  minifyWhitespace: true,
  minifySyntax: true,
  plugins: [withoutUnusedApis],
  // node-fetch asks for it where Node has no URL; its tables are larger than all of our own source.
  alias: { 'whatwg-url': 'node:url' },
  // CommonJS dependencies in the bundle ask for Node's own modules with `require`.
  banner: {
    js: "import { createRequire as portwrightRequire } from 'node:module'; const require = portwrightRequire(import.meta.url);",
  },
} as const satisfies BuildOptions;
