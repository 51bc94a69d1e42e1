// dotnet run MODEL.onnx CROP: probabilities of an aligned crop, size × size gray bytes, under the prior "photos".
// Packages: Microsoft.ML.OnnxRuntime
using System.Text.Json;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

using var session = new InferenceSession(args[0]);
var card = JsonDocument.Parse(session.ModelMetadata.CustomMetadataMap["mien.card"]).RootElement;
int size = card.GetProperty("size").GetInt32();
float mean = card.GetProperty("mean")[0].GetSingle(), std = card.GetProperty("std")[0].GetSingle();
float[] pixels = File.ReadAllBytes(args[1]).Select(value => (value / 255f - mean) / std).ToArray();
var tensor = new DenseTensor<float>(pixels, new[] { 1, 1, size, size });
var head = card.GetProperty("heads")[0];
string[] labels = head.GetProperty("labels").EnumerateArray().Select(label => label.GetString()!).ToArray();
double temperature = head.GetProperty("temperature").GetDouble();
using var outputs = session.Run(
    new[] { NamedOnnxValue.CreateFromTensor(session.InputNames[0], tensor) },
    new[] { head.GetProperty("name").GetString()! });
double[] odds = outputs.First().AsEnumerable<float>().Select(logit => Math.Exp(logit / temperature)).ToArray();
for (int i = 0; i < labels.Length; i++) Console.WriteLine($"{labels[i]} {odds[i] / odds.Sum():F5}");
