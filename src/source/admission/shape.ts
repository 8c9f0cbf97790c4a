/** What the API's Go types say about a field, as far as a decoder needs it. */
export type Shape =
  | { readonly is: 'text'; readonly go: string }
  | { readonly is: 'integer'; readonly go: 'int32' | 'int64' }
  | { readonly is: 'flag' }
  /** A number or a name (Go's `IntOrString`). */
  | { readonly is: 'port' }
  /** A map of strings. */
  | { readonly is: 'map' }
  | { readonly is: 'list'; readonly of: Shape }
  | StructShape
  /** Kept as it is, unread. */
  | { readonly is: 'anything' };

export interface StructShape {
  readonly is: 'struct';
  readonly name: string;
  readonly fields: ReadonlyMap<string, Shape>;
  /** Only the fields we use are listed; others may be there. */
  readonly isPartial: boolean;
}

export const text: Shape = { is: 'text', go: 'string' };
export const int32: Shape = { is: 'integer', go: 'int32' };
export const int64: Shape = { is: 'integer', go: 'int64' };
export const flag: Shape = { is: 'flag' };
export const port: Shape = { is: 'port' };
export const map: Shape = { is: 'map' };
export const anything: Shape = { is: 'anything' };

/** A string type with a name of its own, for instance `v1.ServiceType`. */
export function named(go: string): Shape {
  return { is: 'text', go: `v1.${go}` };
}

export function list(of: Shape): Shape {
  return { is: 'list', of };
}

export function struct(name: string, fields: Readonly<Record<string, Shape>>): StructShape {
  return { is: 'struct', name, fields: new Map(Object.entries(fields)), isPartial: false };
}

export function partial(name: string, fields: Readonly<Record<string, Shape>>): StructShape {
  return { ...struct(name, fields), isPartial: true };
}

/** The type as Go's decoder names it in errors. */
export function goType(shape: Shape): string {
  switch (shape.is) {
    case 'text':
    case 'integer':
      return shape.go;
    case 'flag':
      return 'bool';
    case 'port':
      return 'int32';
    case 'map':
      return 'map[string]string';
    case 'list':
      return `[]${goType(shape.of)}`;
    case 'struct':
      return `v1.${shape.name}`;
    case 'anything':
      return 'interface {}';
  }
}
