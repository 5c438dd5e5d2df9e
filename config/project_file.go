package config

import "go.yaml.in/yaml/v4"

// projectFile is what we read of a compozy.yaml.
type projectFile struct {
	name      string
	taskQueue string
	sources   []value
}

// readProjectFile reads our keys and leaves all others alone.
func readProjectFile(doc *document) projectFile {
	var p projectFile
	if doc.root == nil {
		return p
	}
	top := value{doc: doc, name: doc.name, node: doc.root}.open()
	p.name = readName(top)
	if v, ok := top.get("workflows"); ok {
		p.sources = readSources(v)
	}
	p.taskQueue = p.name
	if v, ok := top.get("temporal"); ok {
		if queue := readProjectQueue(v); queue != "" {
			p.taskQueue = queue
		}
	}
	return p
}

func readName(top block) string {
	v, ok := top.get("name")
	if !ok {
		top.doc.problem(top.node, "name is missing: add the project's name, such as name: reports")
		return ""
	}
	name, ok := v.text()
	if !ok {
		return ""
	}
	if err := projectNameFault(name); err != nil {
		v.problem("%s", err)
	}
	return name
}

// readSources returns the `source` of each entry of `workflows`. Other keys of an entry are Compozy's.
func readSources(v value) []value {
	if isNull(v.node) {
		return nil
	}
	entries, _ := v.list()
	var sources []value
	for _, entry := range entries {
		if entry.node.Kind != yaml.MappingNode {
			entry.wrong("write - source: ./workflows/*.yaml")
			continue
		}
		source, ok := entry.open().get("source")
		if !ok {
			entry.problem("%s has no source: write - source: ./workflows/*.yaml", entry.name)
			continue
		}
		if _, ok := source.text(); ok {
			sources = append(sources, source)
		}
	}
	return sources
}

// readProjectQueue reads the project's `temporal:` block. Compozy keeps its own connection settings in
// the same block; they are known, so that existing projects load, and left alone.
func readProjectQueue(v value) string {
	b, ok := v.block("task_queue", "mode", "host_port", "namespace", "api_key", "tls", "standalone", "embedded")
	if !ok {
		return ""
	}
	q, ok := b.get("task_queue")
	if !ok {
		return ""
	}
	queue, ok := q.text()
	if !ok {
		return ""
	}
	if err := taskQueueFault(queue); err != nil {
		q.problem("%s", err)
	}
	return queue
}
