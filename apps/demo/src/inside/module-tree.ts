/** A model as a tree of parts, read from its modules: nothing here knows an architecture. */
import type { Module, Parameter } from '@heed/layers'

export interface PartTensor {
  name: string
  shape: number[]
  /** Whether the same tensor is a parameter of an earlier part too. */
  isTied: boolean
}

/** One module of a model, or the modules of a list together. */
export interface Part {
  /** Its place in the tree, each part before its children. */
  id: number
  /** As its parent names it; `layers` for a list of `layers.0`, `layers.1`. */
  name: string
  /** Of its parameters in a checkpoint. */
  path: string
  /** Empty for a list. */
  className: string
  tensors: PartTensor[]
  /** In this part and all below it; tied ones once. */
  numParameters: number
  children: Part[]
}

export interface ModuleTree {
  root: Part
  /** By id; undefined where the part is a list. */
  modules: Array<Module | undefined>
}

/** The modules of a model; those under `name.0`, `name.1`, ... of one parent become the children of a part `name`. */
export function moduleTree(model: Module, rootName: string): ModuleTree {
  const modules: Array<Module | undefined> = []
  const seen = new Set<Parameter>()
  const addPart = (name: string, path: string, module: Module | undefined): Part => {
    const className = module?.constructor.name ?? ''
    const part: Part = { id: modules.length, name, path, className, tensors: [], numParameters: 0, children: [] }
    modules.push(module)
    return part
  }
  const visit = (name: string, path: string, module: Module): Part => {
    const part = addPart(name, path, module)
    for (const [key, parameter] of module.ownParameters()) {
      part.tensors.push({ name: key, shape: [...parameter.shape], isTied: seen.has(parameter) })
      if (!seen.has(parameter)) part.numParameters += parameter.size
      seen.add(parameter)
    }
    const lists = new Map<string, Part>()
    for (const [childName, child] of module.namedChildren()) {
      const childPath = [path, childName].filter(Boolean).join('.')
      const [, listName, index] = /^(.+)\.(\d+)$/.exec(childName) ?? []
      if (listName === undefined) {
        part.children.push(visit(childName, childPath, child))
        continue
      }
      let list = lists.get(listName)
      if (!list) {
        list = addPart(listName, [path, listName].filter(Boolean).join('.'), undefined)
        lists.set(listName, list)
        part.children.push(list)
      }
      const item = visit(index!, childPath, child)
      list.children.push(item)
      list.numParameters += item.numParameters
    }
    part.numParameters += part.children.reduce((sum, child) => sum + child.numParameters, 0)
    return part
  }
  return { root: visit(rootName, '', model), modules }
}

/** Every part below and with this one, each before its children. */
export function* allParts(part: Part): Generator<Part> {
  yield part
  for (const child of part.children) yield* allParts(child)
}
