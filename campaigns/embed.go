package campaigns

import "embed"

// models are the decision trees that come with flipvisor.
//
//go:embed models
var models embed.FS

const defaultModel = "models/xentry.json"
