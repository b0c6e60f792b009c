package v1alpha1

// Schedule sets other bounds from one time of day to another, on some days of the week.
//
// +kubebuilder:validation:XValidation:rule="self.start != self.end",fieldPath=".end",message="start and end must differ; for a whole day write start: \"00:00\" and end: \"24:00\""
// +kubebuilder:validation:XValidation:rule="has(self.minReplicas) || has(self.maxReplicas)",message="a schedule must set minReplicas, maxReplicas or both"
// +kubebuilder:validation:XValidation:rule="!has(self.minReplicas) || !has(self.maxReplicas) || self.minReplicas <= self.maxReplicas",fieldPath=".minReplicas",message="the minReplicas of a schedule must not be above its maxReplicas"
type Schedule struct {
	// name tells this schedule from the others and appears in decisions. Example: working-hours
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="name must have lower-case letters, digits and '-' only; write for example working-hours"
	// +required
	Name string `json:"name"`

	// timeZone is the IANA name of the zone in which start and end are read; daylight saving is observed.
	// Default: Etc/UTC. Example: Europe/Berlin
	// +kubebuilder:default="Etc/UTC"
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z][A-Za-z0-9_+/-]*$') && self != 'Local' && timestamp('2024-01-01T00:00:00Z').getHours(self) >= 0",message="timeZone must be an IANA time zone; write for example Europe/Berlin or Etc/UTC"
	// +optional
	TimeZone string `json:"timeZone,omitempty"`

	// days are the days of the week on which the schedule starts. Absent: every day.
	// Example: [Monday, Tuesday, Wednesday, Thursday, Friday]
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=7
	// +optional
	Days []Weekday `json:"days,omitempty"`

	// start is the time of day at which the schedule begins to hold, on a 24-hour clock. Replicas are ordered one lead
	// time earlier, so that they serve at this time. Example: "08:30"
	// +kubebuilder:validation:MaxLength=5
	// +kubebuilder:validation:XValidation:rule="self.matches('^([01][0-9]|2[0-3]):[0-5][0-9]$')",message="start must be a time of day from 00:00 to 23:59 with two digits each; write for example \"08:30\""
	// +required
	Start string `json:"start"`

	// end is the time of day at which the schedule ceases to hold. Earlier than start means on the next day.
	// 24:00 is the end of the day. Example: "18:00"
	// +kubebuilder:validation:MaxLength=5
	// +kubebuilder:validation:XValidation:rule="self.matches('^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$')",message="end must be a time of day from 00:00 to 24:00 with two digits each; write for example \"18:00\""
	// +required
	End string `json:"end"`

	// minReplicas replaces spec.minReplicas while the schedule holds. Absent: spec.minReplicas holds.
	// +kubebuilder:validation:Minimum=0
	// +optional
	MinReplicas *int32 `json:"minReplicas,omitempty"`

	// maxReplicas replaces spec.maxReplicas while the schedule holds, and may only be lower.
	// Absent: spec.maxReplicas holds.
	// +kubebuilder:validation:Minimum=1
	// +optional
	MaxReplicas *int32 `json:"maxReplicas,omitempty"`
}

// Weekday is the English name of a day of the week.
//
// +kubebuilder:validation:Enum=Monday;Tuesday;Wednesday;Thursday;Friday;Saturday;Sunday
type Weekday string
