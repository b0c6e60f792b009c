// Package trace turns recorded or invented load into requests: it reads the public trace formats, makes requests out of
// plain rates, re-times and re-scales them, and generates workloads for a machine that has no trace.
//
// Open is the door: it takes a file, a folder or the spec of a workload ("diurnal:hours=24,low=2,high=20") and yields a
// stream. Files are recognised by their content, gzipped or not:
//
//	format           recognised by                                        yields
//	azure-llm        TIMESTAMP,ContextTokens,GeneratedTokens              requests; dates with or without fraction and zone
//	burstgpt         Timestamp,…,Request tokens,Response tokens,…         requests; 6 or 8 columns, failures left out
//	mooncake         {"timestamp","input_length","output_length",…}       requests; hash_ids become prefix blocks
//	vidur            arrived_at,num_prefill_tokens,num_decode_tokens      requests
//	plain            arrival_s,input_tokens,output_tokens                 requests; what Writer writes
//	functions-2021   app,func,end_timestamp,duration                      arrivals; sizes from the mix
//	servegen         chunk-N-trace.csv in a folder or tar, or one alone   clients' rates and gaps; sizes from chunk-N-dataset.json
//	rates            time column and value, count, rate_rps, …            rates; also mean_input_tokens, mean_output_tokens
//	per-second       numbers separated by white space                     rates, one number a second
//	functions-2019   HashOwner,…,Trigger,1,2,…,1440                       rates, the sum of all functions per minute
//	prometheus       {"status","data":{"resultType":"matrix",…}}          rates per second, the sum of all series
//
// A column named value has no unit: it is read as whole requests per period, as public series have it, a fraction is
// refused, and Facts.Notes say so. The formats rates-per-second and counts-per-period are any of those of rates, in the unit
// that they name.
//
// Requests stream: memory does not grow with a request trace's length. A rate series is held in memory, the requests
// drawn from it are not.
//
// The package must not read a clock or draw from a global random source: the same bytes, options and seed give the same
// requests. It knows nothing of replicas or policies.
package trace
