// Package report turns the results of a campaign into what people and
// programs read: a table for the terminal, JSON, Markdown for the summary of
// a CI run, JUnit.
//
// [New] computes everything once; the formats only lay it out. No number is
// in one format that is not in [Report], and so in the JSON.
package report
