// emotion MODEL.onnx CROP: probabilities of an aligned crop, size × size gray bytes, under the prior "photos".
// c++ -std=c++17 emotion.cpp -lonnxruntime, with nlohmann/json's header
#include <cmath>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <onnxruntime_cxx_api.h>

int main(int, char** argv) {
  Ort::Env env;
  Ort::Session session(env, argv[1], Ort::SessionOptions{});
  Ort::AllocatorWithDefaultOptions allocator;
  auto text = session.GetModelMetadata().LookupCustomMetadataMapAllocated("mien.card", allocator);
  auto card = nlohmann::json::parse(text.get());
  auto head = card["heads"][0];
  float mean = card["mean"][0], deviation = card["std"][0], temperature = head["temperature"], sum = 0;
  std::ifstream file(argv[2], std::ios::binary);
  std::vector<float> pixels;
  for (std::istreambuf_iterator<char> at(file), end; at != end; ++at)
    pixels.push_back((static_cast<unsigned char>(*at) / 255.0f - mean) / deviation);
  int64_t size = card["size"], shape[] = {1, 1, size, size};
  auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  auto input = Ort::Value::CreateTensor<float>(memory, pixels.data(), pixels.size(), shape, 4);
  auto in = session.GetInputNameAllocated(0, allocator);
  std::string name = head["name"];
  const char *inputs[] = {in.get()}, *outputs[] = {name.c_str()};
  auto result = session.Run(Ort::RunOptions{}, inputs, &input, 1, outputs, 1);
  const float* logits = result[0].GetTensorData<float>();
  for (size_t i = 0; i < head["labels"].size(); ++i) sum += std::exp(logits[i] / temperature);
  for (size_t i = 0; i < head["labels"].size(); ++i)
    std::cout << head["labels"][i].get<std::string>() << " " << std::exp(logits[i] / temperature) / sum << "\n";
}
