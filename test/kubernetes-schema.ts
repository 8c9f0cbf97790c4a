import * as kubernetes from '@kubernetes/client-node';

interface Attribute {
  readonly name: string;
  readonly baseName: string;
  readonly type: string;
}

/**
 * What is wrong with an object of Kubernetes' API, by the types that the client library was generated with from
 * Kubernetes' OpenAPI description: fields that do not exist, and values of another type.
 */
export function schemaProblems(value: unknown, type: string, path = type): string[] {
  const list = /^Array<(.+)>$/.exec(type);
  if (list !== null) {
    if (!Array.isArray(value)) return [`${path}: expected a list`];
    return value.flatMap((item, index) => schemaProblems(item, list[1]!, `${path}[${index}]`));
  }
  const map = /^\{ \[key: string\]: (.+); \}$/.exec(type);
  if (map !== null) {
    if (!isObject(value)) return [`${path}: expected an object`];
    return Object.entries(value).flatMap(([key, item]) => schemaProblems(item, map[1]!, `${path}.${key}`));
  }
  switch (type) {
    case 'any':
      return [];
    case 'IntOrString':
      return typeof value === 'string' || Number.isInteger(value) ? [] : [`${path}: expected a number or a string`];
    case 'string':
    case 'number':
    case 'boolean':
      return typeof value === type ? [] : [`${path}: expected a ${type}, got ${JSON.stringify(value)}`];
    default:
      return objectProblems(value, type, path);
  }
}

function objectProblems(value: unknown, type: string, path: string): string[] {
  const model = (kubernetes as unknown as Record<string, { getAttributeTypeMap?: () => Attribute[] } | undefined>)[
    type
  ];
  if (model?.getAttributeTypeMap === undefined) return [`${path}: no such type: ${type}`];
  if (!isObject(value)) return [`${path}: expected an object`];
  const attributes = new Map(model.getAttributeTypeMap().map((attribute) => [attribute.baseName, attribute]));
  return Object.entries(value).flatMap(([key, item]) => {
    const attribute = attributes.get(key);
    return attribute === undefined
      ? [`${path}: no field ${key}`]
      : schemaProblems(item, attribute.type, `${path}.${key}`);
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
