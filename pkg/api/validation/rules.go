package validation

import (
	"fmt"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	crvalidation "k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"
)

// rules is one version of a CustomResourceDefinition, compiled. It is safe for concurrent use.
type rules struct {
	structural *structuralschema.Structural
	schema     crvalidation.SchemaValidator
	cel        *cel.Validator
}

func compile(definition []byte) (*rules, error) {
	props, err := openAPISchema(definition)
	if err != nil {
		return nil, err
	}
	structural, err := structuralschema.NewStructural(props)
	if err != nil {
		return nil, fmt.Errorf("make structural schema: %w", err)
	}
	schema, _, err := crvalidation.NewSchemaValidator(props)
	if err != nil {
		return nil, fmt.Errorf("make schema validator: %w", err)
	}
	return &rules{
		structural: structural,
		schema:     schema,
		cel:        cel.NewValidator(structural, true, celconfig.PerCallLimit),
	}, nil
}

func openAPISchema(definition []byte) (*apiextensions.JSONSchemaProps, error) {
	var external apiextensionsv1.CustomResourceDefinition
	if err := yaml.Unmarshal(definition, &external); err != nil {
		return nil, fmt.Errorf("parse CustomResourceDefinition: %w", err)
	}
	var internal apiextensions.CustomResourceDefinition
	if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(&external, &internal, nil); err != nil {
		return nil, fmt.Errorf("convert CustomResourceDefinition: %w", err)
	}
	for _, version := range internal.Spec.Versions {
		if schema := schemaOf(&internal, version); schema != nil {
			return schema, nil
		}
	}
	return nil, fmt.Errorf("CustomResourceDefinition %s has no version with a schema", internal.Name)
}

// schemaOf copes with the conversion, which lifts the schema out of the version when there is only one.
func schemaOf(definition *apiextensions.CustomResourceDefinition, version apiextensions.CustomResourceDefinitionVersion) *apiextensions.JSONSchemaProps {
	switch {
	case version.Schema != nil:
		return version.Schema.OpenAPIV3Schema
	case definition.Spec.Validation != nil:
		return definition.Spec.Validation.OpenAPIV3Schema
	default:
		return nil
	}
}
