package report

import _ "github.com/santhosh-tekuri/jsonschema/v6"
