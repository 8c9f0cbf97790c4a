import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Handlebars from 'handlebars';

/**
 * Compiles `templates/DIRECTORY/NAME.hbs` to `src/template.generated.ts`, one entry `DIRECTORY/NAME` each.
 * The options make a template fail loudly: a missing value throws, an unknown helper does not compile.
 */
const root = join(import.meta.dirname, '..');
const entries = readdirSync(join(root, 'templates'), { withFileTypes: true })
  .filter((directory) => directory.isDirectory())
  .flatMap((directory) =>
    readdirSync(join(root, 'templates', directory.name))
      .filter((file) => file.endsWith('.hbs'))
      .map((file) => `${directory.name}/${file.slice(0, -'.hbs'.length)}`),
  )
  .toSorted();

const compiled = entries.map((entry) => {
  const source = readFileSync(join(root, 'templates', `${entry}.hbs`), 'utf8');
  const code = Handlebars.precompile(source, {
    noEscape: true,
    strict: true,
    knownHelpersOnly: true,
    preventIndent: true,
  }) as string;
  return `  '${entry}': ${code},\n`;
});

writeFileSync(
  join(root, 'src', 'template.generated.ts'),
  `// Made from templates/ by scripts/precompile-templates.ts.\n// @ts-nocheck\nexport const templates = {\n${compiled.join('')}};\n`,
);
