import { expect } from 'chai';
import { AmbiguousNumber, parseDocuments } from '../../src/source/yaml.ts';
import type { FieldPath } from '../../src/source/yaml-position.ts';

function values(text: string): unknown[] {
  const { documents, problems } = parseDocuments({ file: 'a.yaml', text });
  expect(problems).to.deep.equal([]);
  return documents.map(({ value }) => value);
}

describe('YAML', () => {
  const readings: readonly (readonly [string, string, unknown])[] = [
    ['documents, whatever stands between them', '# one\n---\na: 1\n---\n---\n# two\n---\nb: 2\n', [{ a: 1 }, { b: 2 }]],
    ['what follows a marker on its line', '--- {a: 1}\n--- # two\nb: 2\n', [{ a: 1 }, { b: 2 }]],
    ['a marker inside a text as text', 'a: |\n  ---\n  b\n---\nc: 1\n', [{ a: '---\nb\n' }, { c: 1 }]],
    ['lines that end as on Windows', 'a: 1\r\n---\r\nb: x\r\n', [{ a: 1 }, { b: 'x' }]],
    ['a byte order mark', '\uFEFFa: 1\n', [{ a: 1 }]],
    ['directives and an end marker', '%YAML 1.2\n---\na: 1\n...\n', [{ a: 1 }]],
    ['JSON', '{"a": [1, "b", null, true]}', [{ a: [1, 'b', null, true] }]],
    [
      'JSON values one after the other',
      '{"a": 1}\n{"b": "}{"}[{}] {\n"c": []\n}',
      [{ a: 1 }, { b: '}{' }, [{}], { c: [] }],
    ],
    ['dates as text', 'a: 2024-01-01T00:00:00Z\n', [{ a: '2024-01-01T00:00:00Z' }]],
    ['numbers of any base', 'a: [0x50, 0o17, 0b11, 8e1, -3, +4]\n', [{ a: [80, 15, 3, 80, -3, 4] }]],
    ['booleans as kubectl does', 'a: [yes, Off, true, "yes"]\n', [{ a: [true, false, true, 'yes'] }]],
    ['anchors and merges', 'a: &a {b: 1}\nc: {<<: *a, d: 2}\n', [{ a: { b: 1 }, c: { b: 1, d: 2 } }]],
    ['nothing at all', '\n# nothing\n---\nnull\n--- ~\n', []],
  ];
  for (const [what, text, expected] of readings) {
    it(`reads ${what}`, () => {
      expect(values(text)).to.deep.equal(expected);
    });
  }

  it('marks numbers that tools read differently', () => {
    const [value] = values('a: [010, 08, 1_000, "010", 0, 10]\n') as [{ a: unknown[] }];
    expect(value.a.map((item) => item instanceof AmbiguousNumber)).to.deep.equal([
      true,
      true,
      true,
      false,
      false,
      false,
    ]);
  });

  it('keeps keys named like what every object has', () => {
    const [value] = values('{"__proto__": {"polluted": 1}, "constructor": 2}') as [object];
    expect(Object.keys(value)).to.deep.equal(['__proto__', 'constructor']);
    expect(({} as { polluted?: number }).polluted).to.equal(undefined);
  });

  const text = [
    '# a comment', //                    1
    'apiVersion: v1',
    'metadata:',
    '  name: web # the name',
    '  labels: {a: b, "c/d": e}', //     5
    'spec:',
    '  ports:',
    '  - port: 80',
    '    # about the next',
    '    nodePort: 30080', //            10
    '  -   name: x',
    '      port: 81',
    '  empty:',
    '  externalIPs: [1.1.1.1,',
    '    2.2.2.2]', //                   15
    '---',
    '--- {"items": [{"a": 1}, {"b": 2}]}',
    '',
  ].join('\n');
  const positions: readonly (readonly [number, FieldPath, number, number])[] = [
    [0, [], 2, 1],
    [0, ['metadata', 'name'], 4, 3],
    [0, ['metadata', 'labels', 'c/d'], 5, 18],
    [0, ['spec', 'ports', 0], 8, 5],
    [0, ['spec', 'ports', 0, 'nodePort'], 10, 5],
    [0, ['spec', 'ports', 1, 'port'], 12, 7],
    [0, ['spec', 'ports', 1, 'absent'], 11, 7],
    [0, ['spec', 'empty', 'absent'], 13, 3],
    [0, ['spec', 'externalIPs', 1], 15, 5],
    [0, ['absent'], 2, 1],
    [1, ['items', 1, 'b'], 17, 27],
  ];
  for (const [document, path, line, column] of positions) {
    it(`finds ${path.join('.') || 'a document'} at ${line}:${column}`, () => {
      const { documents } = parseDocuments({ file: 'a.yaml', text });
      expect(documents[document]!.positionOf(path)).to.deep.equal({ line, column });
    });
  }

  it('reports an error with its line and a caret, and reads the other documents', () => {
    const broken = 'a: 1\n---\nspec:\n  ports:\n  - port: 80\n      nodePort: 30080\n---\nb: 2\n---\nc: 1\nc: 2\n';
    const { documents, problems } = parseDocuments({ file: 'a.yaml', text: broken });
    expect(documents.map(({ document, line }) => [document, line])).to.deep.equal([
      [1, 1],
      [3, 8],
    ]);
    expect(problems).to.deep.equal([
      {
        file: 'a.yaml',
        document: 2,
        line: 6,
        column: 15,
        message: 'not valid YAML: bad indentation of a mapping entry',
        excerpt: ['      nodePort: 30080', '              ^'],
        hint: 'check the indentation: nodePort stands in the same column as the other fields of its entry in spec.ports',
      },
      {
        file: 'a.yaml',
        document: 4,
        line: 11,
        column: 1,
        message: 'not valid YAML: duplicated mapping key',
        excerpt: ['c: 2', '^'],
      },
    ]);
  });

  const mistakes: readonly (readonly [string, string, string])[] = [
    ['{\n "a": 1\n "b": 2}\n', '3:2', 'expected , or }, found "b"'],
    ['{"a": [1,\n 2, }\n', '2:5', 'expected a value, found }'],
    ['{"a": [1 x]', '1:10', 'expected , or ], found x'],
    ['{"a": {"b": 1\n\n', '1:14', 'expected , or }, found the end'],
    ['{"a" 1}', '1:6', 'expected :, found 1'],
    ['{"a": 1, ]', '1:10', 'expected a name in double quotes, found ]'],
    ['{"a": "x\\q"}', '1:7', 'a text in double quotes that does not end, or holds a line end or an unknown \\ escape'],
    ['{"a": 1,\n"a": 2}', '2:1', 'duplicated mapping key'],
    ['{"z": 1} {"a": 1}\n {"b": tru, }}\n', '2:8', 'expected a value, found tru'],
  ];
  for (const [text, place, message] of mistakes) {
    it(`says where JSON goes wrong: ${JSON.stringify(text)}`, () => {
      const { problems } = parseDocuments({ file: 'a.json', text });
      expect(problems.map(({ line, column, message }) => [`${line}:${column}`, message])).to.deep.equal([
        [place, `not valid JSON: ${message}`],
      ]);
    });
  }

  const hints: readonly (readonly [string, string, RegExp])[] = [
    ['a tab', 'a:\n\tb: 1\n', /never with tabs/],
    ['two objects without a line between', 'kind: Service\nspec: {}\nkind: Service\n', /three dashes, ---, separates/],
    ['a template that was not rendered', 'a: {{ .Values.a }}: 1\n{{- end }}\n', /Helm template/],
  ];
  for (const [what, broken, hint] of hints) {
    it(`says what to do about ${what}`, () => {
      expect(parseDocuments({ file: 'a.yaml', text: broken }).problems[0]?.hint).to.match(hint);
    });
  }

  const bomb = Array.from({ length: 9 }, (_, index) => {
    const entry = index === 0 ? 'x' : `*a${index - 1}`;
    return `a${index}: &a${index} [${Array.from({ length: 10 }, () => entry).join(', ')}]`;
  }).join('\n');
  const attacks: readonly (readonly [string, string, RegExp])[] = [
    ['an alias bomb', bomb, /aliases expand to more than/],
    ['a hundred thousand brackets', '['.repeat(100_000), /nesting/],
    ['a hundred thousand braces', '{a: '.repeat(100_000), /nesting/],
    ['a text that does not end', `{"a": "${'x\\n'.repeat(1_000_000)}`, /does not end/],
    ['deep dashes', '- '.repeat(100_000), /nesting/],
  ];
  for (const [what, attack, message] of attacks) {
    it(`refuses ${what} without effort`, () => {
      const { documents, problems } = parseDocuments({ file: 'a.yaml', text: attack });
      expect(documents).to.deep.equal([]);
      expect(problems[0]?.message).to.match(message);
    });
  }
});
